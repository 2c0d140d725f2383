"""Our own C has no warnings, nor have the lines that Cython translates."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from zmq_h import compiler_flags

ROOT = Path(__file__).parent.parent
FLAGS = ["-Wall", "-Wextra", "-Wconversion", f"-I{ROOT / 'include'}"]
OURS = "-DZRAW_BUILD"  # as setup.py compiles what is not for others
NOT_SOURCES = shutil.ignore_patterns("*.c", "*.so", "__pycache__")
MODULES = sorted((ROOT / "zraw").glob("*.pyx"))
SOURCES = sorted([*ROOT.glob("tests/*.c"), *ROOT.glob("benchmarks/**/*.c")])
HEADERS = sorted((ROOT / "include").glob("*.h"))
VERBATIM = re.compile(r'^cdef extern from .*:\n    """\n(.*?)^    """', re.S | re.M)
BLOCKS = {
    f"{path.name}-{number}": block
    for path in sorted((ROOT / "zraw").glob("*.p[xy][dx]"))
    for number, block in enumerate(VERBATIM.findall(path.read_text()), 1)
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="GCC's warnings")


def warnings(*args: object, text: str = "", compiler: str = "cc") -> str:
    """What the compiler says; it optimizes, for then it sees more."""
    command = [compiler, *FLAGS, *compiler_flags(), "-O2", "-c", "-o", "/dev/null"]
    command += ["-isystem", sysconfig.get_path("include")]
    done = subprocess.run(
        [*command, *map(str, args)],
        input=text,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_warnings__of_c_files(path):
    assert warnings(path) == ""


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("path", HEADERS, ids=name)
def test_warnings__of_headers(path, language):
    if language == "c++" and not shutil.which("c++"):
        pytest.skip("no C++ compiler")
    header = f'#include "{path.name}"\n'
    compiler = "cc" if language == "c" else "c++"
    assert warnings("-x", language, "-", text=header, compiler=compiler) == ""


@pytest.mark.parametrize("gil", ["", "#define Py_GIL_DISABLED 1"], ids=["gil", "free"])
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_warnings__of_verbatim_c(block, gil):
    """Alone, so that what is for free-threaded Python is compiled everywhere."""
    prelude = f"#include <Python.h>\n#undef Py_GIL_DISABLED\n{gil}\n"
    assert warnings(OURS, "-Wno-unused", "-x", "c", "-", text=prelude + block) == ""


def directives() -> str:
    """The compiler directives of setup.py, which cannot be imported."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "DIRECTIVES"
        ):
            values = ast.literal_eval(node.value)
            return ",".join(f"{key}={value}" for key, value in values.items())
    raise AssertionError("setup.py has no DIRECTIVES")


@pytest.mark.timeout(180)
def test_warnings__of_translated_lines(tmp_path):
    """What our lines do with C, macros and declarations included.

    Line directives tell them from Cython's own code.  Lengths are signed in Python and
    unsigned in C: there, -Wsign-conversion would ask for a cast in every second call.
    """
    shutil.copytree(ROOT / "zraw", tmp_path / "zraw", ignore=NOT_SOURCES)
    command = [sys.executable, "-m", "cython", "--line-directives", "-X", directives()]
    modules = [f"zraw/{path.name}" for path in MODULES]
    subprocess.run([*command, *modules], cwd=tmp_path, timeout=100, check=True)
    said = ""
    for module in (tmp_path / "zraw").glob("*.c"):
        said += warnings(OURS, "-fsyntax-only", module)
    ours = re.findall(r"^zraw/\w+\.p[xy][dx]:.* warning: .*", said, re.M)
    lengths = [line for line in ours if re.search("Py_ssize_t.*-Wsign-conv", line)]
    assert [line for line in ours if line not in lengths] == []
