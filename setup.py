"""Find libzmq, write zraw/constants.py, build one extension per .pyx."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# setuptools brings it along: it has to be imported first.
from distutils.ccompiler import new_compiler  # isort: skip

ROOT = Path(__file__).parent.resolve()
MINIMUM = (4, 3, 2)
HELP = """
zraw needs libzmq {minimum} or newer, with its header: {reason}.
Install it, or point ZRAW_PREFIX at the folder that holds include/ and lib/:
  Debian, Ubuntu   apt-get install libzmq3-dev pkg-config
  Fedora           dnf install zeromq-devel pkgconf-pkg-config
  Alpine           apk add zeromq-dev pkgconf
  macOS            brew install zeromq pkg-config
  Windows          vcpkg install zeromq; set ZRAW_PREFIX=...\\installed\\x64-windows
"""


def load(name: str):
    """Import a module of the package by path: zraw itself is not built yet."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "zraw" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fail(reason: str) -> None:
    minimum = ".".join(map(str, MINIMUM))
    sys.exit(HELP.format(minimum=minimum, reason=reason))


def library_name(folders: list[str]) -> str:
    """Return what the linker calls libzmq.

    vcpkg's is libzmq-mt-4_3_5.lib; the shortest name is the one to link to, and not a
    static or debugging one beside it.
    """
    found = [path.stem for folder in folders for path in Path(folder).glob("*zmq*.lib")]
    return min(found, key=len, default="zmq")


def msvc() -> list[str] | None:
    """Return the command of Microsoft's compiler, which is seldom on the PATH."""
    if sys.platform != "win32" or os.environ.get("CC"):
        return None
    compiler = new_compiler()
    if compiler.compiler_type != "msvc":
        return None
    compiler.initialize()
    folders = [f"-I{folder}" for folder in compiler.include_dirs]
    return [compiler.cc, "-nologo", *folders]


def find_libzmq() -> dict[str, list[str]]:
    """Return the keywords of Extension that compile and link against libzmq."""
    if prefix := os.environ.get("ZRAW_PREFIX"):
        libraries = [Path(prefix, name) for name in ("lib", "lib64")]
        libraries = [str(path.resolve()) for path in libraries if path.is_dir()]
        if not Path(prefix, "include", "zmq.h").is_file() or not libraries:
            fail(f"ZRAW_PREFIX={prefix} holds no include/zmq.h or no lib/")
        return {
            "include_dirs": [str(Path(prefix, "include").resolve())],
            "library_dirs": libraries,
            "libraries": [library_name(libraries)],
            "runtime_library_dirs": [] if sys.platform == "win32" else libraries,
        }
    tool = os.environ.get("PKG_CONFIG", "pkg-config")
    if not shutil.which(tool):
        fail(f"{tool} is not installed")
    asked = subprocess.run(
        [tool, "--cflags", "--libs", "libzmq"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        fail("pkg-config knows no libzmq")
    flags = shlex.split(asked.stdout)

    def take(letter: str) -> list[str]:
        return [flag[2:] for flag in flags if flag.startswith(f"-{letter}")]

    return {
        "include_dirs": take("I"),
        "library_dirs": take("L"),
        "libraries": take("l") or ["zmq"],
        "extra_compile_args": [flag for flag in flags if flag.startswith("-D")],
    }


class BuildPy(build_py):
    """Write constants.py before the packages are collected."""

    def run(self):
        libzmq = find_libzmq()
        try:
            version = load("_constgen").write(
                ROOT / "zraw" / "constants.py", libzmq["include_dirs"], msvc()
            )
        except FileNotFoundError as error:
            fail(f"the compiler finds no zmq.h ({error})")
        if version < MINIMUM:
            fail(f"the one found is {'.'.join(map(str, version))}")
        super().run()


class BuildExt(build_ext):
    """Point every extension at libzmq, and compile the .pyx files."""

    def build_extensions(self):
        libzmq = find_libzmq()
        for extension in self.extensions:
            for keyword, values in libzmq.items():
                getattr(extension, keyword).extend(values)
            if self.compiler.compiler_type != "msvc":
                extension.extra_compile_args += [
                    "-O3",
                    "-fno-plt",
                    "-fvisibility=hidden",
                ]
        super().build_extensions()


# binding=False: 6 to 9 ns less per call.  The signature in clinic's form keeps
# inspect.signature() working without it.
DIRECTIVES = {
    "language_level": 3,
    "binding": False,
    "embedsignature": True,
    "embedsignature.format": "clinic",
    "annotation_typing": False,
    "always_allow_keywords": True,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    # What threads may share is guarded, or taken in a critical section.
    "freethreading_compatible": True,
}

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"zraw.{path.stem}",
                [f"zraw/{path.name}"],
                ["include"],
                [("ZRAW_BUILD", None)],
                depends=["include/zmq_compat.h", "include/zraw.h"],
            )
            for path in sorted((ROOT / "zraw").glob("*.pyx"))
        ],
        compiler_directives=DIRECTIVES,
        nthreads=0 if sys.platform == "win32" else os.cpu_count() or 1,
    ),
    cmdclass={"build_py": BuildPy, "build_ext": BuildExt},
)
