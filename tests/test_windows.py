"""Windows without Windows: what MinGW compiles and links, and what the build decides.

Wine, where it is installed, runs what was compiled: without Python, and with a
libzmq.dll that is made here and has only names.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType, SimpleNamespace

import Cython.Build
import pytest
import setuptools

import zraw
from programs import run_child
from test_warnings import BLOCKS, NOT_SOURCES, directives
from zmq_h import compiler_flags, functions, newer_functions

ROOT = Path(__file__).parent.parent
GCC = shutil.which("x86_64-w64-mingw32-gcc")
GXX = shutil.which("x86_64-w64-mingw32-g++")
DLLTOOL = "x86_64-w64-mingw32-dlltool"
WINE = shutil.which("wine64") or shutil.which("wine64", path="/usr/lib/wine")
FLAGS = ["-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
# Cython's own code, and MSVC's word for variables of a thread, which GCC ignores.
NOT_OURS = ["-Wno-unused", "-Wno-missing-field-initializers", "-Wno-attributes"]
NOT_OURS += ["-Wno-sign-compare", "-Wno-unused-parameter"]
# What Python.h asks of its configuration, on Windows with 64 bits.
PYCONFIG = """
#include <io.h>
#include <limits.h>
#include <stdio.h>
#define MS_WIN32
#define MS_WIN64
#define MS_WINDOWS
#define NT_THREADS
#define COMPILER "[gcc]"
#define PLATFORM "win32"
#define HAVE_DECLSPEC_DLL
#define Py_ENABLE_SHARED 1
#define HAVE_DYNAMIC_LOADING
#define HAVE_ERRNO_H 1
#define HAVE_STDDEF_H 1
#define HAVE_STDLIB_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_WCHAR_H 1
#define HAVE_UINTPTR_T 1
#define HAVE_INTPTR_T 1
#define PY_LLONG_MIN LLONG_MIN
#define PY_LLONG_MAX LLONG_MAX
#define PY_ULLONG_MAX ULLONG_MAX
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_FLOAT 4
#define SIZEOF_DOUBLE 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_VOID_P 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_PID_T 4
#define ALIGNOF_LONG 4
#define ALIGNOF_SIZE_T 8
#define ALIGNOF_MAX_ALIGN_T 8
#define WITH_PYMALLOC 1
#define WITH_DOC_STRINGS 1
"""
# After all headers: from here on GCC is taken for Microsoft's compiler.
AS_MSVC = """
#include <intrin.h>
#include <windows.h>
#undef __GNUC__
#define _MSC_VER 1938
"""

needs_mingw = pytest.mark.skipif(not GCC, reason="MinGW is not installed")
needs_wine = pytest.mark.skipif(not (GCC and WINE), reason="needs MinGW and Wine")


@pytest.fixture(scope="session")
def headers(tmp_path_factory) -> list[str]:
    """Flags: Python.h as it is on Windows, and nothing of this system but zmq.h."""
    python = tmp_path_factory.mktemp("headers") / "python"
    shutil.copytree(sysconfig.get_path("include"), python)
    (python / "pyconfig.h").write_text(PYCONFIG)
    alone = python.parent / "zmq"
    alone.mkdir()
    folders = [flag[2:] for flag in compiler_flags() if flag.startswith("-I")]
    found = [Path(folder, "zmq.h") for folder in [*folders, "/usr/include"]]
    shutil.copy(next(path for path in found if path.is_file()), alone)
    return ["-isystem", str(python), f"-I{alone}"]


def compile_c(*args: object, text: str = "", compiler: str | None = GCC) -> str:
    """Compile; return what the compiler says, nothing if it has nothing to say."""
    done = subprocess.run(
        [str(compiler), *FLAGS, *map(str, args)],
        input=text,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode == 0) is (done.stderr == ""), done
    return done.stderr


def import_library(folder: Path, dll: str, names: set[str]) -> Path:
    """Make what an extension is linked to, of a DLL that has these functions."""
    made = folder / f"{dll}.a"
    listed = folder / f"{dll}.def"
    listed.write_text("\n".join([f"LIBRARY {dll}.dll", "EXPORTS", *sorted(names)]))
    subprocess.run([DLLTOOL, "-d", listed, "-l", made], check=True, timeout=30)
    return made


@needs_mingw
@pytest.mark.parametrize("linked", ["", "#define ZRAW_LINKED\n"], ids=["", "linked"])
@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("header", ["zmq_compat.h", "zraw.h"])
def test_headers__for_others(headers, header, language, linked):
    if language == "c++" and not GXX:
        pytest.skip("no C++ compiler for Windows")
    compiler = GCC if language == "c" else GXX
    text = f'{linked}#include "{header}"\nvoid *made(void) {{ return zmq_ctx_new(); }}'
    flags = [*headers, "-fsyntax-only", "-x", language, "-"]
    assert compile_c(*flags, text=f"{text}\n", compiler=compiler) == ""


@needs_mingw
@pytest.mark.parametrize("of", ["gcc", "msvc", "free"])
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_verbatim_c__on_windows(headers, block, of):
    gil = "#define Py_GIL_DISABLED 1" if of == "free" else "#undef Py_GIL_DISABLED"
    other = AS_MSVC if of == "msvc" else ""
    text = f'#include <Python.h>\n{gil}\n#include "zmq_compat.h"\n{other}\n{block}'
    flags = [*headers, *NOT_OURS, "-DZRAW_BUILD", "-O1", "-c", "-o", os.devnull]
    assert compile_c(*flags, "-x", "c", "-", text=text) == ""


@needs_mingw
def test_verbatim_c__free_threaded_with_microsofts_compiler_is_refused(headers):
    block = BLOCKS["guard.pxd-1"]
    text = f"#include <Python.h>\n{AS_MSVC}\n#define Py_GIL_DISABLED 1\n{block}"
    said = compile_c(*headers, "-fsyntax-only", "-x", "c", "-", text=text)
    assert "zraw for free-threaded Python on Windows: compile it with clang-cl" in said


@needs_mingw
@pytest.mark.timeout(300)
def test_modules__are_linked_to_a_libzmq_without_drafts(headers, tmp_path):
    shutil.copytree(ROOT / "zraw", tmp_path / "zraw", ignore=NOT_SOURCES)
    modules = sorted((tmp_path / "zraw").glob("*.pyx"))
    command = [sys.executable, "-m", "cython", "-X", directives(), *map(str, modules)]
    subprocess.run(command, cwd=tmp_path, timeout=100, check=True)
    objects = [path.with_suffix(".o") for path in modules]
    flags = [*headers, *NOT_OURS, "-DZRAW_BUILD", "-c"]
    for made in objects:
        assert compile_c(*flags, made.with_suffix(".c"), "-o", made) == ""
    python: set[str] = set()
    for made in objects:
        asked = subprocess.run(
            ["x86_64-w64-mingw32-nm", "-u", made],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        python |= set(re.findall(r"\bU (?:__imp_)?(_?Py\w+)$", asked.stdout, re.M))
    stable = set(functions()) - set(newer_functions())
    libraries = [
        import_library(tmp_path, "libzmq", stable),
        import_library(tmp_path, "python3", python),
    ]
    for made in objects:
        extension = made.with_suffix(".pyd")
        assert compile_c("-shared", "-o", extension, made, *libraries) == ""
    assert len(list((tmp_path / "zraw").glob("*.pyd"))) == len(modules) > 20


LOOK = """
#include <Python.h>
#include "zmq_compat.h"
int main(void)
{
    printf("%d %d\\n", (void *) zmq_join != NULL, (void *) zmq_poller_new != NULL);
    if ((void *) zmq_join != NULL)
        printf("%d\\n", zmq_join(NULL, "group"));
    return zmq_errno();
}
"""


def run_on_wine(program: Path, wine_home: Path) -> tuple[int, str]:
    done = subprocess.run(
        [str(WINE), str(program)],
        env={**os.environ, "WINEPREFIX": str(wine_home), "WINEDEBUG": "-all"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=110,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def wine_home(tmp_path_factory):
    """A home of Wine's own, and nothing of it left running."""
    home = tmp_path_factory.mktemp("wine")
    yield home
    server = Path(str(WINE)).parent / "wineserver64"
    if server.is_file():
        env = {**os.environ, "WINEPREFIX": str(home)}
        subprocess.run([server, "-k"], env=env, timeout=30, check=False)


@needs_wine
@pytest.mark.timeout(120)
@pytest.mark.parametrize("has", [(), ("zmq_join",)], ids=["stable", "draft"])
def test_drafts__are_looked_up_in_the_libzmq_that_is_loaded(
    headers, tmp_path, wine_home, has
):
    """It was linked to one without drafts; the answer depends on the one that runs."""
    stable = set(functions()) - set(newer_functions())
    stub = "__declspec(dllexport) int {}(void) {{ return {}; }}\n"
    text = "".join(stub.format(name, 7) for name in {*stable, *has})
    dll = tmp_path / "libzmq.dll"
    assert compile_c("-x", "c", "-", "-shared", "-o", dll, text=text) == ""
    program = tmp_path / "look.exe"
    library = import_library(tmp_path, "libzmq", stable)
    flags = [*headers, "-DZRAW_BUILD", "-o", program]
    assert compile_c(*flags, "-x", "c", "-", "-x", "none", library, text=LOOK) == ""
    said = "1 0\n7\n" if has else "0 0\n"
    assert run_on_wine(program, wine_home) == (7, said)


WAKER = """
static HANDLE woken;
static void wake(void *argument) { ++*(int *) argument; SetEvent(woken); }
int main(void)
{
    zraw_waker waker;
    int times = 0;
    woken = CreateEvent(NULL, TRUE, FALSE, NULL);
    if (zraw_waker_start(&waker, wake, &times) < 0)
        return 1;
    zraw_waker_stop(&waker);
    zraw_waker_close(&waker, -1);
    if (times != 0 || zraw_waker_start(&waker, wake, &times) < 0)
        return 2;
    if (_write(waker.ends[1], "\\2", 1) != 1)
        return 3;
    if (WaitForSingleObject(woken, 30000) != WAIT_OBJECT_0)
        return 4;
    zraw_waker_stop(&waker);
    zraw_waker_close(&waker, -1);
    return times == 1 && waker.number == 2 ? 7 : 5;
}
"""


@needs_wine
@pytest.mark.timeout(120)
def test_proxy__is_woken_by_the_number_of_a_signal(tmp_path, wine_home):
    program = tmp_path / "waker.exe"
    text = f"#include <windows.h>\n{BLOCKS['proxying.pyx-1']}{WAKER}"
    assert compile_c("-x", "c", "-", "-o", program, text=text) == ""
    assert run_on_wine(program, wine_home) == (7, "")


NOT_THERE = """
import os, signal, sys
for module, names in (
    (os, ["register_at_fork", "fork", "sched_getaffinity", "set_blocking"]),
    (signal, ["pthread_sigmask", "pthread_kill", "SIGUSR1", "SIGALRM", "SIGHUP"]),
):
    for name in [*names, *(name for name in vars(os) if name.startswith("SCHED_"))]:
        vars(module).pop(name, None)
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import zraw, zraw.aio, zraw.cli, zraw.perf
with zraw.Context() as context:
    push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://here"))
    push.send(b"data")
    print(pull.recv().decode())
"""


def test_import__without_what_only_posix_has():
    done = run_child(NOT_THERE)
    assert (done.code, done.out, done.err) == (0, "data\n", "")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def setup_py(monkeypatch) -> ModuleType:
    """setup.py, which builds nothing here, and takes this for Windows."""
    monkeypatch.setattr(setuptools, "setup", lambda **keywords: None)
    monkeypatch.setattr(Cython.Build, "cythonize", lambda modules, **keywords: modules)
    module = load(ROOT / "setup.py")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("CC", raising=False)
    return module


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["libzmq-mt-4_3_5.lib"], "libzmq-mt-4_3_5"),
        (
            ["libzmq-mt-gd-4_3_5.lib", "libzmq-mt-4_3_5.lib", "libzmq-mt-s-4_3_5.lib"],
            "libzmq-mt-4_3_5",
        ),
        (["libzmq.lib", "libsodium.lib"], "libzmq"),
        (["zmq.lib"], "zmq"),
        (["libzmq.dll.a"], "zmq"),
        (["libzmq.so", "libzmq.a"], "zmq"),
    ],
)
def test_setup__finds_the_name_of_libzmq(setup_py, monkeypatch, tmp_path, files, name):
    for folder in ("include", "lib", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "include" / "zmq.h").touch()
    for file in files:
        (tmp_path / "lib" / file).touch()
    monkeypatch.setenv("ZRAW_PREFIX", str(tmp_path))
    assert setup_py.find_libzmq() == {
        "include_dirs": [str(tmp_path / "include")],
        "library_dirs": [str(tmp_path / "lib")],
        "libraries": [name],
        "runtime_library_dirs": [],
    }


@pytest.mark.parametrize("kind", ["msvc", "mingw32"])
def test_setup__asks_setuptools_where_cl_is(setup_py, monkeypatch, kind):
    asked = []
    compiler = SimpleNamespace(
        compiler_type=kind,
        cc="C:\\VC\\cl.exe",
        include_dirs=["C:\\VC\\include", "C:\\Kits\\ucrt"],
        initialize=lambda: asked.append("initialize"),
    )
    monkeypatch.setattr(setup_py, "new_compiler", lambda: compiler)
    if kind == "msvc":
        folders = ["-IC:\\VC\\include", "-IC:\\Kits\\ucrt"]
        assert setup_py.msvc() == ["C:\\VC\\cl.exe", "-nologo", *folders]
        assert asked == ["initialize"]
    else:
        assert setup_py.msvc() is None
        assert asked == []


def test_setup__takes_the_compiler_that_cc_names(setup_py, monkeypatch):
    monkeypatch.setenv("CC", "gcc")
    monkeypatch.setattr(setup_py, "new_compiler", None)
    assert setup_py.msvc() is None


@pytest.mark.parametrize("kind", ["msvc", "mingw32"])
def test_setup__flags_of_the_compiler(setup_py, monkeypatch, kind):
    monkeypatch.setattr(setup_py, "find_libzmq", lambda: {"libraries": ["libzmq"]})
    monkeypatch.setattr(setup_py.build_ext, "build_extensions", lambda command: None)
    extension = setuptools.Extension("zraw.x", ["x.pyx"])
    command = setup_py.BuildExt(setuptools.Distribution({"ext_modules": [extension]}))
    command.extensions = [extension]
    command.compiler = SimpleNamespace(compiler_type=kind)
    command.build_extensions()
    assert extension.libraries == ["libzmq"]
    flags = ["-O3", "-fno-plt", "-fvisibility=hidden"]
    assert extension.extra_compile_args == ([] if kind == "msvc" else flags)


@pytest.fixture
def constgen() -> ModuleType:
    return load(ROOT / "zraw" / "_constgen.py")


@pytest.mark.parametrize(
    ("marks", "path"),
    [
        ('# 1 "probe.c"\n# 7 "/usr/include/zmq.h" 1 3\n', "/usr/include/zmq.h"),
        (
            '#line 1 "C:\\\\t\\\\probe.c"\n#line 1 "C:\\\\vcpkg\\\\include\\\\zmq.h"\n',
            "C:\\vcpkg\\include\\zmq.h",
        ),
    ],
)
def test_constgen__reads_the_marks_of_both_kinds(constgen, marks, path):
    assert constgen.place(marks) == path


@pytest.mark.parametrize("marks", ["", '#line 1 "C:\\\\t\\\\xzmq.h"\n', "int zmq;\n"])
def test_constgen__no_header(constgen, marks):
    with pytest.raises(FileNotFoundError, match=r"zmq\.h"):
        constgen.place(marks)


def test_constgen__asks_for_cl(constgen, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: None)
    assert constgen.compiler() == ["cl"]


# It knows no more than cl does: not -dM, nor -P, and its marks look otherwise.
CL = """
import re, subprocess, sys
assert sys.argv[1] == "-nologo" and sys.argv[-2] == "-E", sys.argv
flags = sys.argv[2:-2]
assert all(flag.startswith(("-I", "-D")) for flag in flags), flags
done = subprocess.run(["cc", *sys.argv[2:]], capture_output=True, text=True)
print(sys.argv[-1].rpartition("/")[2], file=sys.stderr)  # as cl says the name of a file
print(re.sub(r'^# (\\d+ ".*?").*', r"#line \\1", done.stdout, flags=re.M))
sys.exit(done.returncode)
"""


def test_constgen__all_constants_by_cl(constgen, tmp_path):
    (tmp_path / "cl.py").write_text(CL)
    folders = [flag[2:] for flag in compiler_flags() if flag.startswith("-I")]
    command = [sys.executable, str(tmp_path / "cl.py"), "-nologo"]
    found = constgen.constants(command, folders)
    here = vars(zraw.constants).items()
    assert found == {name: value for name, value in here if not name.startswith("_")}


@needs_mingw
def test_constgen__numbers_of_windows(constgen, headers):
    """The compiler is asked, not the system that the build runs on."""
    found = constgen.constants([str(GCC)], [headers[-1].removeprefix("-I")])
    assert found["EADDRINUSE"] == 100
    assert found["ENOTSOCK"] == 128
    assert found["ZMQ_PAIR"] == 0
