"""Wheels with libzmq inside: what repairs them, and what they are built with."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import zraw
from conftest import run_child
from wheel_tools import (
    INFO,
    NAME,
    ROOT,
    Package,
    assert_fails,
    make_wheel,
    put_command,
    repair_wheel,
)
from zraw.cli_info import CAPABILITIES

MPL = "/* SPDX-License-Identifier: MPL-2.0 */\n"
VERSION = """#define ZMQ_VERSION_MAJOR {}
#define ZMQ_VERSION_MINOR {}
#define ZMQ_VERSION_PATCH {}
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="the names are auditwheel's")
dpkg = pytest.mark.skipif(
    not shutil.which("dpkg-query"), reason="dpkg-query is not here"
)


@pytest.fixture
def wheel(tmp_path):
    return repair_wheel.Wheel(make_wheel(tmp_path), tmp_path / "unpacked")


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """An empty folder, the first of PATH: see put_command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def find_libzmq() -> Path:
    """Return zraw's libzmq, asked for where pyzmq's is not loaded, too."""
    done = run_child("import zraw; print(zraw.get_library())")
    assert done.code == 0, done
    return Path(done.out.strip()).resolve()


def assert_record(archive: Path) -> list[str]:
    """Assert that RECORD names every file with its hash; return the names."""
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        (record,) = (name for name in names if name.endswith("/RECORD"))
        rows = list(csv.reader(io.StringIO(opened.read(record).decode())))
        assert [row[0] for row in rows] == names
        for name, digest, size in rows[:-1]:
            content = opened.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
            assert digest == "sha256=" + expected.decode().rstrip("="), name
            assert int(size) == len(content), name
        assert rows[-1] == [record, "", ""]
    return names


# RECORD


def test_wheel__record_has_every_file_and_its_hash(wheel, tmp_path):
    wheel.add("zraw.libs/libx.so.1", b"\x7fELF")
    wheel.add("zraw/a name, with a comma.txt", b"")
    wheel.pack(tmp_path / "packed.whl")
    names = assert_record(tmp_path / "packed.whl")
    assert {"zraw.libs/libx.so.1", "zraw/a name, with a comma.txt"} <= set(names)
    assert names[-1] == f"{INFO}/RECORD"
    with zipfile.ZipFile(tmp_path / "packed.whl") as opened:
        modes = {each.filename: each.external_attr >> 16 for each in opened.infolist()}
    assert modes["zraw.libs/libx.so.1"] == 0o100755
    assert modes[f"{INFO}/METADATA"] == 0o100644


def test_wheel__packs_the_same_twice(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    wheel.pack(tmp_path / "one.whl")
    wheel.pack(tmp_path / "two.whl")
    one, two = ((tmp_path / f"{name}.whl").read_bytes() for name in ("one", "two"))
    assert one == two


# Where a library is from


@linux
def test_find_origin__by_name_and_content(tmp_path):
    paths = []
    for name, content in (("libpgm-5.3.so.0.0.128", b"a"), ("libzmq.so.5.2.4", b"b")):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    marks = [hashlib.sha256(content).hexdigest()[:8] for content in (b"a", b"b")]
    find = repair_wheel.find_origin
    assert find(f"zraw.libs/libpgm-5-{marks[0]}.3.so.0.0.128", paths) == paths[0]
    assert find(f"zraw.libs/libzmq-{marks[1]}.so.5.2.4", paths) == paths[1]
    assert_fails("libzmq-00000000.so.5.2.4", find, "libzmq-00000000.so.5.2.4", paths)
    assert_fails("libother", find, f"libother-{marks[1]}.so.5.2.4", paths)


@pytest.mark.parametrize(
    ("platform", "bundled", "name"),
    [
        ("darwin", "zraw/.dylibs/libzmq.5.dylib", "libzmq.5.dylib"),
        ("win32", f"zraw.libs/libzmq-mt-4_3_5-{'0f' * 16}.dll", "libzmq-mt-4_3_5.dll"),
        ("win32", f"zraw.libs/libsodium-{'a' * 32}.dll", "libsodium.DLL"),
    ],
)
def test_find_origin__names_of_delocate_and_delvewheel(
    tmp_path, monkeypatch, platform, bundled, name
):
    monkeypatch.setattr(sys, "platform", platform)
    paths = [tmp_path / "other.dll", tmp_path / name]
    assert repair_wheel.find_origin(bundled, paths) == paths[1]


# zmq.h


@pytest.mark.parametrize(
    ("words", "licence"),
    [
        (MPL, "MPL-2.0"),
        ("/* the GNU Lesser General Public License (LGPL) */", "LGPL-3.0-or-later, "),
    ],
)
def test_add_header__is_copied_as_it_is(wheel, tmp_path, words, licence):
    text = (words + "\n" + VERSION.format(4, 3, 4)).encode() + b"/* \xff */\r\n"
    (tmp_path / "zmq.h").write_bytes(text)
    assert repair_wheel.add_header(wheel, tmp_path / "zmq.h").startswith(licence)
    assert (wheel.package / "include" / "zmq.h").read_bytes() == text


def test_add_header__what_is_refused(wheel, tmp_path):
    path = tmp_path / "zmq.h"
    assert_fails("is missing", repair_wheel.add_header, wheel, path)
    path.write_text(MPL + VERSION.format(4, 3, 5))
    reason = f"the wheel was built with libzmq 4.3.4, {path} is of 4.3.5"
    assert_fails(reason, repair_wheel.add_header, wheel, path)
    path.write_text(VERSION.format(4, 3, 4))
    assert_fails("states no licence", repair_wheel.add_header, wheel, path)
    assert not (wheel.package / "include").exists()


# libzmq


@linux
def test_probe__version_and_capabilities_of_the_library():
    version, has = repair_wheel.probe(find_libzmq())
    assert version == ".".join(map(str, zraw.version()))
    assert {*CAPABILITIES, "draft"} == set(repair_wheel.CAPABILITIES)
    assert has == [name for name in repair_wheel.CAPABILITIES if zraw.has(name)]


@linux
def test_probe__no_curve(tmp_path):
    library = tmp_path / "libzmq.so.5"
    (tmp_path / "zmq.c").write_text(
        "void zmq_version(int *a, int *b, int *c) { *a = 4; *b = 3; *c = 4; }\n"
        "int zmq_has(const char *name) { return name[0] == 'i'; }\n"
    )
    build = ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "zmq.c")]
    subprocess.run(build, check=True)
    assert_fails("libzmq.so.5 has no CURVE", repair_wheel.probe, library)


# The bill of materials, and all of it together


def test_describe__every_library_once_with_hash_and_licence(wheel):
    for name in ("liba.so.1", "liba2.so.1", "libzmq.so.5"):
        wheel.add(f"zraw.libs/{name}", name.encode())
    a, zmq = Package("liba", "1.0+b2"), Package("libzmq5", "4.3.4-6")
    owned = {f"zraw.libs/{name}.so.1": a for name in ("liba", "liba2")}
    owned["zraw.libs/libzmq.so.5"] = zmq
    texts = repair_wheel.add_licences(wheel, [a, zmq])
    digest = hashlib.sha256(b"libzmq.so.5").hexdigest()
    upstream = repair_wheel.describe_libzmq("4.3.4", ["curve"], "MPL-2.0", digest)
    bill = repair_wheel.describe(wheel, owned, texts, upstream)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    itself = bill["metadata"]["component"]
    assert (itself["name"], itself["version"]) == ("zraw", "1.2.3")
    assert itself["purl"] == f"pkg:pypi/zraw@1.2.3?file_name={NAME}"
    libzmq, *packages = bill["components"]
    assert libzmq["cpe"] == "cpe:2.3:a:zeromq:libzmq:4.3.4:*:*:*:*:*:*:*"
    assert libzmq["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert libzmq["licenses"] == [{"license": {"id": "MPL-2.0"}}]
    assert libzmq["properties"] == [{"name": "zraw:has", "value": "curve"}]
    assert [package["purl"] for package in packages] == [
        "pkg:generic/liba@1.0%2Bb2",
        "pkg:generic/libzmq5@4.3.4-6",
    ]
    files = {
        each["name"]: each for package in packages for each in package["components"]
    }
    assert set(files) == set(owned)
    for name, each in files.items():
        content = (wheel.folder / name).read_bytes()
        expected = hashlib.sha256(content).hexdigest()
        assert each["hashes"] == [{"alg": "SHA-256", "content": expected}]
    for package in packages:
        assert package["licenses"] == [{"expression": "ISC"}]
        for text in package["properties"]:
            assert text["name"] == "zraw:licence-text"
            assert (wheel.folder / text["value"]).is_file()
    first, *others = bill["dependencies"]
    assert first["ref"] == itself["bom-ref"]
    refs = [component["bom-ref"] for component in bill["components"]]
    assert first["dependsOn"] == refs == [each["ref"] for each in others]
    assert len({*refs, *files, itself["bom-ref"]}) == len(refs) + len(files) + 1


# As auditwheel does it: the name has a mark of the content, a bill of its own is left.
COPIER = f"""
import hashlib, pathlib, sys, zipfile
folder, wheel = map(pathlib.Path, sys.argv[-2:])
library = pathlib.Path(sys.argv[3])
mark = hashlib.sha256(library.read_bytes()).hexdigest()[:8]
base, end = library.name.split(".", 1)
target = folder / wheel.name.replace("linux_x86_64", "manylinux_2_35_x86_64")
target.write_bytes(wheel.read_bytes())
with zipfile.ZipFile(target, "a") as opened:
    opened.write(library, f"zraw.libs/{{base}}-{{mark}}.{{end}}")
    opened.writestr("{INFO}/sboms/auditwheel.cdx.json", "{{}}")
"""


@dpkg
@linux
def test_repair__all_of_it(commands, tmp_path):
    library = find_libzmq()
    known = subprocess.run(
        ["dpkg-query", "--search", library, str(library).removeprefix("/usr")],
        capture_output=True,
        check=False,
    )
    if not known.stdout:
        pytest.skip("libzmq is none of dpkg's")
    extension = Path(zraw.socket.__file__)
    built = (Path(zraw.__file__).parent / "constants.py").read_bytes()
    more = {f"zraw/{extension.name}": extension.read_bytes()}
    archive = make_wheel(tmp_path, **more, **{"zraw/constants.py": built})
    put_command("auditwheel", COPIER, sys.executable)
    script = [sys.executable, ROOT / ".ci" / "repair_wheel.py"]
    done = subprocess.run(
        [*script, archive, tmp_path / "made", library],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done
    (made,) = (tmp_path / "made").iterdir()
    assert made.name == NAME.replace("linux_x86_64", "manylinux_2_35_x86_64")
    names = assert_record(made)
    (bundled,) = (name for name in names if name.startswith("zraw.libs/"))
    (bill,) = (name for name in names if "/sboms/" in name)
    assert bill == f"{INFO}/sboms/zraw.cdx.json"
    assert "zraw/include/zmq.h" in names
    with zipfile.ZipFile(made) as opened:
        libzmq, package = json.loads(opened.read(bill))["components"]
    assert libzmq["version"] == ".".join(map(str, zraw.version()))
    assert [each["name"] for each in package["components"]] == [bundled]
    assert {text["value"] for text in package["properties"]} <= set(names)


@linux
def test_repair__libzmq_is_not_inside(commands, tmp_path):
    put_command("auditwheel", "for x; do f=$d; d=$w; w=$x; done; cp $w $d")
    args = (make_wheel(tmp_path), tmp_path / "made", [], tmp_path)
    assert_fails("one libzmq is expected inside the wheel", repair_wheel.repair, *args)
    assert not (tmp_path / "made").exists()


@linux
def test_repair__the_tool_fails(commands, tmp_path):
    put_command("auditwheel", "exit 1")
    args = (make_wheel(tmp_path), tmp_path / "made", [], tmp_path)
    assert_fails("auditwheel failed", repair_wheel.repair, *args)


# What is configured


@pytest.mark.parametrize(
    ("platform", "archs", "ends"),
    [
        ("linux", "x86_64,aarch64", "{}linux_x86_64 {}linux_aarch64"),
        ("macos", "x86_64,arm64", "macosx_x86_64 macosx_arm64"),
        ("windows", "AMD64", "win_amd64"),
    ],
)
def test_cibuildwheel__builds_these(platform, archs, ends):
    pytest.importorskip("cibuildwheel")
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers"]
    done = subprocess.run(
        [*command, "--platform", platform, "--archs", archs, str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done
    pythons = ["cp310", "cp311", "cp312", "cp313", "cp314"]
    pythons += ["cp314t"] if platform != "windows" else []
    libcs = ["many", "musl"] if platform == "linux" else [""]
    assert set(done.stdout.split()) == {
        f"{python}-{end.format(libc)}"
        for python in pythons
        for end in ends.split()
        for libc in libcs
    }


def test_cibuildwheel__runs_tests_that_exist():
    tomllib = pytest.importorskip("tomllib")
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    _, tests = tools["cibuildwheel"]["test-command"]
    files = re.findall(r"tests/\w+\.py", tests)
    assert len(files) > 5
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_workflows__every_action_is_pinned():
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        for used in re.findall(r"uses: (.*)", path.read_text()):
            if not used.startswith("$/"):
                assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", used), used
