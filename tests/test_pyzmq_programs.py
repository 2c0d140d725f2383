"""Real programs on zraw.pyzmq: Jupyter, tornado, gevent, and what pyzmq brings.

The programs are pyzmq_<what>.py; each checks what it gets, and which backend it has.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import run_child
from pyzmq_children import BACKENDS, needs, play


@pytest.fixture(params=BACKENDS)
def run(request, tmp_path):
    """Run a case of a program."""

    def run(program, *args):
        assert play(program, *args, backend=request.param, folder=tmp_path) == "done\n"

    return run


@pytest.mark.parametrize(
    "case", ["session", "encrypted", "killed", "threaded", "several"]
)
def test_jupyter__kernels(run, case):
    needs("ipykernel", "jupyter_client")
    run("pyzmq_jupyter", case)


@pytest.mark.parametrize(
    ("case", "needed"),
    [
        ("tornado_streams", "tornado"),
        ("tornado_web", "tornado"),
        ("asyncio_server", "asyncio"),
        ("asyncio_pubsub", "asyncio"),
        ("ctrl_c", "tornado"),
        ("on_uvloop", "uvloop"),
        ("msgspec_structs", "msgspec"),
    ],
)
def test_loops__servers_and_their_clients(run, case, needed):
    needs(needed)
    run("pyzmq_loops", case)


@pytest.mark.parametrize(
    "case", ["requests", "timeouts", "full", "device", "patched_threads"]
)
def test_green__greenlets(run, case):
    needs("gevent")
    run("pyzmq_green", case)


@pytest.mark.parametrize(
    "case",
    ["fork", "spawn", "forkserver", "fork_instance", "fork_exits", "map_in_pool"],
)
def test_multiprocessing__pools_of_workers(run, case):
    run("pyzmq_pool", case)


@pytest.mark.parametrize(
    "case", ["curve_in_thread", "plain_in_thread", "in_asyncio", "monitored"]
)
def test_auth__who_may_connect_and_how_it_went(run, case):
    run("pyzmq_auth", case)


@pytest.mark.parametrize(
    "case",
    [
        "thread_device",
        "process_device",
        "monitored_queue",
        "steered",
        "thread_proxy",
        "logs",
    ],
)
def test_devices__and_logs(run, case):
    run("pyzmq_devices", case)


def test_page__example_prints_what_it_says():
    page = (Path(__file__).parents[1] / "docs" / "pyzmq.md").read_text()
    found = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", page, re.DOTALL)
    done = run_child(found[1], env={"PYZMQ_BACKEND": "cython"})
    assert (done.code, done.out, done.err) == (0, found[2], "")
