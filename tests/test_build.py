"""The build: what it refuses, what it ships, and how it links."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import zraw
from zmq_h import DRAFTS, functions, newer_functions, symbols

ROOT = Path(__file__).parent.parent
PACKAGE = Path(zraw.__file__).parent
SYSTEMS = ["apt-get install", "dnf install", "apk add", "brew install", "vcpkg install"]
# A zmq.h of which nothing but the version matters.
HEADER = """
#define ZMQ_VERSION_MAJOR {}
#define ZMQ_VERSION_MINOR {}
#define ZMQ_VERSION_PATCH {}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources, with no .pyx: there is nothing to compile."""
    target = tmp_path / "tree"
    for folder, pattern in (
        (".", "*.*"),
        ("include", "*.h"),
        ("zraw", "*.p*"),
        ("zraw/aio", "*.py"),
    ):
        (target / folder).mkdir(parents=True, exist_ok=True)
        for path in (ROOT / folder).glob(pattern):
            if path.is_file() and path.suffix != ".pyx":
                shutil.copy(path, target / folder)
    shutil.copy(ROOT / "LICENSE", target)
    shutil.copy(ROOT / "zraw" / "py.typed", target / "zraw")
    for path in (target / "zraw").glob("constants.*"):
        path.unlink()
    return target


def build(tree: Path, *args: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run setup.py with some environment variables set, ZRAW_PREFIX not."""
    environment = {k: v for k, v in os.environ.items() if k != "ZRAW_PREFIX"}
    return subprocess.run(
        [sys.executable, "setup.py", *args],
        cwd=tree,
        env={**environment, **changes},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def prefix(folder: Path, version: tuple[int, int, int] | None) -> str:
    """Make a folder like those where libraries are installed."""
    (folder / "include").mkdir(parents=True)
    (folder / "lib").mkdir()
    if version:
        (folder / "include" / "zmq.h").write_text(HEADER.format(*version))
    return str(folder)


def assert_refused(done: subprocess.CompletedProcess[str], *reasons: str) -> None:
    """Assert that setup.py ended with the one message that helps."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    assert done.stderr.count("zraw needs libzmq 4.3.2 or newer") == 1, done.stderr
    for word in (*SYSTEMS, *reasons):
        assert word in done.stderr, done.stderr
    assert "zraw needs" not in done.stdout


def test_build__libzmq_that_pkg_config_does_not_know(tree, tmp_path):
    empty = {"PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": str(tmp_path / "nothing")}
    done = build(tree, "build_py", **empty)
    assert_refused(done, "pkg-config knows no libzmq")
    assert not list((tree / "zraw").glob("constants.*"))


def test_build__no_pkg_config(tree):
    done = build(tree, "build_py", PKG_CONFIG="no-such-pkg-config")
    assert_refused(done, "no-such-pkg-config is not installed")


def test_build__libzmq_without_its_header(tree, tmp_path):
    """A .pc file is left, of a libzmq that is gone or of another machine."""
    (tmp_path / "libzmq.pc").write_text(
        "Name: libzmq\nDescription: ZeroMQ\nVersion: 4.3.4\nLibs: -lzmq\n"
        f"Cflags: -nostdinc -isystem {tmp_path}/nowhere\n"
    )
    compiler = f"{shutil.which('cc')} -nostdinc"
    pkg_config = {"PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": str(tmp_path)}
    done = build(tree, "build_py", CC=compiler, **pkg_config)
    assert_refused(done, "the compiler finds no zmq.h")


def test_build__no_compiler(tree):
    done = build(tree, "build_py", CC="no-such-compiler")
    assert_refused(done, "no-such-compiler")


def test_build__prefix_without_header(tree, tmp_path):
    where = prefix(tmp_path / "prefix", None)
    done = build(tree, "build_py", ZRAW_PREFIX=where)
    assert_refused(done, f"ZRAW_PREFIX={where} holds no include/zmq.h")


def test_build__prefix_without_library(tree, tmp_path):
    where = prefix(tmp_path / "prefix", (4, 3, 4))
    (tmp_path / "prefix" / "lib").rmdir()
    done = build(tree, "build_py", ZRAW_PREFIX=where)
    assert_refused(done, f"ZRAW_PREFIX={where} holds no")


def test_build__prefix_that_does_not_exist(tree, tmp_path):
    where = str(tmp_path / "nowhere")
    done = build(tree, "build_py", ZRAW_PREFIX=where)
    assert_refused(done, f"ZRAW_PREFIX={where}")


@pytest.mark.parametrize("version", [(4, 3, 1), (4, 2, 9), (3, 9, 9)])
def test_build__older_header(tree, tmp_path, version):
    where = prefix(tmp_path / "prefix", version)
    done = build(tree, "build_py", ZRAW_PREFIX=where)
    assert_refused(done, f"the one found is {'.'.join(map(str, version))}")


@pytest.mark.parametrize("version", [(4, 3, 2), (4, 10, 0), (5, 0, 0)])
def test_build__new_enough_header_is_read(tree, tmp_path, version):
    where = prefix(tmp_path / "prefix", version)
    done = build(tree, "build_py", ZRAW_PREFIX=where)
    assert done.returncode == 0, done
    written = (tree / "zraw" / "constants.py").read_text()
    names: dict[str, object] = {}
    exec(written, names)
    assert [names[f"ZMQ_VERSION_{x}"] for x in ("MAJOR", "MINOR", "PATCH")] == [
        *version
    ]
    major, minor, patch = version
    assert names["ZMQ_VERSION"] == major * 10000 + minor * 100 + patch


def test_build__constants_are_written_and_shipped(tree):
    """With the libzmq at hand, setup.py writes what the installed zraw has."""
    if here := os.environ.get("ZRAW_PREFIX"):
        done = build(tree, "build_py", ZRAW_PREFIX=here)
    else:
        done = build(tree, "build_py")
    assert done.returncode == 0, done
    names: dict[str, object] = {}
    exec((tree / "zraw" / "constants.py").read_text(), names)
    for name, value in vars(zraw.constants).items():
        if name.startswith(("ZMQ_", "E")):
            assert names[name] == value, name
    shipped = {
        path.relative_to(tree / "build" / "lib").as_posix()
        for path in (tree / "build" / "lib").rglob("*")
        if path.is_file()
    }
    expected = {
        "constants.py",
        "constants.pyi",
        "__init__.pyi",
        "__init__.pxd",
        "libzmq.pxd",
    }
    expected |= {"py.typed", "socket.pyi", "socket.pxd", "include/zmq_compat.h"}
    assert {f"zraw/{name}" for name in expected} <= shipped


def test_build__sdist_holds_sources_and_nothing_built(tree, tmp_path):
    """Without libzmq: an sdist is made anywhere."""
    cython = importlib.metadata.version("Cython")
    for path in (ROOT / "zraw").glob("*.pyx"):
        shutil.copy(path, tree / "zraw")
    for path in (tree / "zraw").glob("*.pyx"):
        # As a build leaves it; newer than its source, so not made anew.
        path.with_suffix(".c").write_text(f"/* Generated by Cython {cython} */")
        path.with_suffix(".cpython-312-x86_64-linux-gnu.so").touch()
        path.with_suffix(".pyd").touch()
    (tree / "zraw" / "constants.py").write_text("# of this machine\n")
    (tree / "zraw" / "constants.pyi").write_text("# of this machine\n")
    nothing = {"PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": str(tmp_path / "nothing")}
    done = build(tree, "sdist", "--formats=gztar", **nothing)
    assert done.returncode == 0, done
    (archive,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    for folder, suffix in (("zraw", "pyx"), ("zraw", "pxd"), ("zraw", "pyi")):
        sources = {path.name for path in (ROOT / folder).glob(f"*.{suffix}")}
        sources.discard("constants.pyi")
        assert sources
        assert {f"{folder}/{name}" for name in sources} <= names
    wanted = {"include/zmq_compat.h", "zraw/py.typed", "zraw/_constgen.py", "LICENSE"}
    assert wanted | {"setup.py", "pyproject.toml", "zraw/__init__.py"} <= names
    assert not {"zraw/constants.py", "zraw/constants.pyi"} & names
    assert [name for name in names if re.search(r"\.(so|pyd|o|pyc)$", name)] == []


EXTENSIONS = sorted(PACKAGE.glob("*.so"))


@pytest.mark.skipif(sys.platform != "linux", reason="nm and readelf are about ELF")
def test_build__draft_functions_are_weak_and_stable_ones_not():
    draft = newer_functions()
    assert len(draft) > 20
    assert functions(DRAFTS) - functions() <= draft
    seen: dict[str, str] = {}
    for extension in EXTENSIONS:
        for name, letter in symbols(extension).items():
            expected = "w" if name in draft else "U"
            assert letter == expected, (extension.name, name)
            seen[name] = letter
    assert set(seen.values()) == {"U", "w"}
    assert {"zmq_ctx_new", "zmq_socket", "zmq_send", "zmq_msg_recv"} <= set(seen)


@pytest.mark.skipif(sys.platform != "linux", reason="nm and readelf are about ELF")
@pytest.mark.parametrize("extension", EXTENSIONS, ids=lambda path: path.name)
def test_build__libzmq_is_linked_dynamically(extension):
    done = subprocess.run(
        ["readelf", "-d", str(extension)], capture_output=True, text=True, check=True
    )
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout)
    if "U" in symbols(extension).values():
        assert [name for name in needed if re.fullmatch(r"libzmq\S*\.so\S*", name)]
    assert "TEXTREL" not in done.stdout


def test_build__get_include_has_the_headers():
    headers = {path.name for path in Path(zraw.get_include()).glob("*.h")}
    assert {path.name for path in (ROOT / "include").glob("*.h")} <= headers
