"""Calls into libzmq, and allocations, fail one after the other.

`python -m tests.campaign faults` does it at greater length, and says what was reached.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from conftest import run_child
from faults import DRAFT, FUNCTIONS, MODULES, SURE, build, call_sites, preloaded

pytestmark = [
    pytest.mark.timeout(180),  # half a minute, where nothing else is done
    pytest.mark.skipif(
        platform.libc_ver()[0] != "glibc", reason="faults.c counts glibc's memory"
    ),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("faults"))


def run(library: Path, module: str, choice: str, call: str) -> None:
    """Run scenarios of a module in a child; nothing may be wrong with them."""
    done = run_child(
        f"""
        import faulthandler, {module}, faults_run
        faulthandler.dump_traceback_later(170, exit=True)
        names = [
            name for name, scene in faults_run.SCENARIOS.items()
            if scene.play.__module__ == {module!r} and ({choice})
        ]
        faults_run.main(" ".join(names), {call})
        """,
        timeout=175,
        env=preloaded(library),
    )
    assert (done.code, done.err) == (0, ""), done
    reports = [json.loads(line) for line in done.out.splitlines()]
    assert reports or (module == "faults_drafts" and not DRAFT)
    wrong = {report["name"]: report["problems"] for report in reports}
    found = {name: problems for name, problems in wrong.items() if problems}
    assert not found, json.dumps(found, indent=1)


def test_call_sites__each_function_is_known_to_fail_or_not():
    """A function that zraw calls has to be in one of the tables of faults.py."""
    called = {site.function for site in call_sites()}
    assert called == FUNCTIONS.keys() | SURE


@pytest.mark.parametrize("module", MODULES)
def test_faults__right_exception_and_all_as_before(faulty: Path, module: str):
    # Endpoints are given up in milliseconds each: two faults are for the campaign.
    depth = 1 if module == "faults_objects" else 2
    run(faulty, module, "True", f"depth={depth}, repeats=1")


@pytest.mark.parametrize("module", MODULES)
def test_memory__right_exception_and_all_as_before(faulty: Path, module: str):
    run(faulty, module, "scene.memory", "memory=True")


def test_init_data__first_pin_without_memory(faulty: Path):
    """The release thread that could not be started is started by the next pin."""
    done = run_child(
        """
        import _testcapi, threading
        import zraw
        call = zraw.Message.init_data
        freed = threading.Event()
        for fails in range(3):  # beyond that a thread of Python's own would fail
            try:
                _testcapi.set_nomemory(fails, fails + 1)
                call(b"x", freed.set)
            except MemoryError:
                pass
            finally:
                _testcapi.remove_mem_hooks()
        freed.clear()
        call(b"x", freed.set).close()
        assert freed.wait(10)
        """
    )
    assert (done.code, done.err) == (0, ""), done
