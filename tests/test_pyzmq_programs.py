"""Real programs on zraw.pyzmq: Jupyter, tornado, gevent, and what pyzmq brings.

The programs are pyzmq_<what>.py; each checks what it gets, and which backend it has.
"""

from __future__ import annotations

import pytest

from pyzmq_children import BACKENDS, needs, play


@pytest.fixture(params=BACKENDS)
def run(request, tmp_path):
    """Run a case of a program."""

    def run(program, *args):
        assert play(program, *args, backend=request.param, folder=tmp_path) == "done\n"

    return run


@pytest.mark.parametrize("case", ["session", "killed", "several"])
def test_jupyter__kernels(run, case):
    needs("ipykernel", "jupyter_client")
    run("pyzmq_jupyter", case)
