"""Which functions of libzmq could be left out of zraw without a test that notices?

    python tests/mutate.py [zmq_xxx ...]

Each function in turn is replaced, in the test process and its children, by one that
does nothing and returns 0; then the tests named after it run.  One of them has to
fail.  Run it by hand: it takes minutes.  LD_LIBRARY_PATH chooses another libzmq.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
sys.path = [path for path in sys.path if Path(path or ".").resolve() != ROOT]

import api_map  # noqa: E402
import zraw.sending  # noqa: E402

LIMIT = 120  # seconds; a test that hangs has noticed, too


def build(function: str, folder: Path) -> Path:
    """Compile the function that does nothing."""
    library = folder / f"{function}.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    source = f"long {function}(void) {{ return 0; }}\n"
    subprocess.run(command, input=source, text=True, check=True)
    return library


def verdict(function: str, folder: Path) -> str:
    """Return "noticed", or what else happened."""
    tests = api_map.tests().get(function)
    if not tests:
        return "NO TEST OF ITS NAME"
    ids = sorted({f"tests/{file}::{name}" for file, name in tests})
    command = [sys.executable, "-P", "-m", "pytest", "-x", "-q", "--no-header"]
    command += ["-p", "no:cacheprovider", "--timeout=20", *ids]
    if sys.version_info < (3, 11):
        command.remove("-P")
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": str(build(function, folder))},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "noticed (hangs)"
    if done.returncode == 0:
        return "NOT NOTICED"
    if done.returncode == 1:
        failed = [x for x in done.stdout.splitlines() if x.startswith("FAILED")]
        return f"noticed by {failed[0].split('::')[1].split(' ')[0] if failed else '?'}"
    how = "at import" if "ImportError" in done.stdout + done.stderr else "crash"
    return f"noticed ({how}, exit code {done.returncode})"


def main() -> int:
    libzmq = ctypes.CDLL(zraw.sending.__file__)
    wanted = sys.argv[1:] or api_map.declared()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for function in wanted:
            start = time.monotonic()
            if hasattr(libzmq, function):
                result = verdict(function, Path(folder))
            else:
                result = "absent from this libzmq"
            missed += result.isupper()
            print(f"{function:<34} {time.monotonic() - start:5.1f} s  {result}")
            sys.stdout.flush()
    print(f"libzmq {zraw.version()}: {len(wanted)} functions, {missed} not noticed")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
