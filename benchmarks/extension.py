"""What an extension pays for a message: the Cython of docs/extending.md against C.

    python benchmarks/extension.py

Both move messages of 16 bytes from one socket to another over inproc, under
`valgrind --tool=callgrind`; see instructions.py.  The same loop by recv_msg() and
send() in Python stands beside them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from instructions import COUNTS, HERE, per_call, run_callgrind
from processes import compile_c
from table import markdown

import zraw

PAGE = HERE.parent / "docs" / "extending.md"


def build_relay(folder: str) -> None:
    """Build relay.pyx as it stands on the page."""
    blocks = re.findall(
        r"^```(?:python|cython)\n(.*?)^```$", PAGE.read_text(), re.M | re.S
    )
    (source,) = (block for block in blocks if block.startswith("# relay.pyx"))
    Path(folder, "relay.pyx").write_text(source)
    package = Path(zraw.__file__).parent.parent
    build = (
        "from Cython.Build import cythonize; from setuptools import Extension, setup;"
        f"setup(ext_modules=cythonize([Extension('relay', ['relay.pyx'], "
        f"[{zraw.get_include()!r}])], include_path=[{str(package)!r}]),"
        " script_args=['-q', 'build_ext', '--inplace'])"
    )
    subprocess.check_call([sys.executable, "-c", build], cwd=folder)


def main(kind: str, *counts: str) -> None:
    """Move so many messages; callgrind writes a file at every zmq_version()."""
    context = zraw.Context()
    push, target = (context.socket(zraw.ZMQ_PUSH) for _ in range(2))
    source, pull = (context.socket(zraw.ZMQ_PULL) for _ in range(2))
    for socket, option in (
        *((push, zraw.ZMQ_SNDHWM), (target, zraw.ZMQ_SNDHWM)),
        *((source, zraw.ZMQ_RCVHWM), (pull, zraw.ZMQ_RCVHWM)),
    ):
        socket.setsockopt(option, 0)
    push.connect(source.bind("inproc://source"))
    target.connect(pull.bind("inproc://pull"))
    push.send_many([b"0123456789abcdef"] * sum(map(int, counts)))
    if kind == "cython":
        from relay import relay  # type: ignore[import-not-found]
    else:

        def relay(source: zraw.Socket, target: zraw.Socket, count: int) -> None:
            message = zraw.Message()
            for _ in range(count):
                source.recv_msg(message)
                target.send(message)

    for count in map(int, counts):
        zraw.version()
        relay(source, target, count)
    zraw.version()


def report() -> None:
    """Count all three, and print a table."""
    counts = [str(count) for count in COUNTS]
    with tempfile.TemporaryDirectory(prefix="extension") as folder:
        build_relay(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, [folder, os.environ.get("PYTHONPATH")])
        )
        commands = {
            "C": [compile_c("relay", folder)],
            "Cython": [sys.executable, __file__, "cython"],
            "Python": [sys.executable, __file__, "python"],
        }
        totals = {
            name: per_call(*run_callgrind([*command, *counts], Path(folder, name)))
            for name, command in commands.items()
        }
    base = totals["C"]["total"]
    rows = [["a message received and sent", "instructions", "more than C"]]
    for name, found in totals.items():
        rows.append([name, f"{found['total']:.1f}", f"{found['total'] - base:+.1f}"])
    print(markdown(rows))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(*sys.argv[1:])
        os._exit(0)  # the end of the interpreter is not part of it
    report()
