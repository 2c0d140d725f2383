"""Wheels with libzmq inside: where each library is from, and under which licence."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from wheel_tools import (
    INFO,
    Package,
    assert_fails,
    make_wheel,
    owners,
    put_command,
    repair_wheel,
)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """An empty folder, the first of PATH: see put_command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="dpkg-query is not here")
def test_deb__owner_and_texts():
    (path,) = re.findall(r"libc\.so\.6 .*=> (\S+)", owners.output("ldconfig", "-p"))[:1]
    owner = owners.find_owner(Path(path).resolve())
    assert owner.name == "libc6"
    assert re.fullmatch(
        r"pkg:deb/\w+/libc6@[\w.%~-]+\?arch=\w+&distro=\w+-[\d.]+", owner.purl
    )
    texts = owner.texts()
    assert b"GNU C Library" in texts["copyright"]
    # Its file refers to these, and does not repeat them.
    assert {"copyright", "LGPL-2.1"} <= set(texts)
    assert owner.licenses()


@pytest.mark.skipif(
    not Path("/usr/share/doc/libzmq5/copyright").is_file(), reason="no Debian libzmq"
)
def test_deb__lgpl_3_comes_with_the_gpl_that_it_refers_to():
    texts = owners.Deb("libzmq5", "4.3.4-6", "amd64").texts()
    assert b"GNU LESSER GENERAL PUBLIC LICENSE" in texts["LGPL-3"]
    assert b"GNU GENERAL PUBLIC LICENSE" in texts["GPL-3"]


def test_deb__package_without_a_text():
    assert owners.Deb("no-such-package", "1", "amd64").texts() == {}


def test_rpm__text_of_a_sister_package(commands, tmp_path, monkeypatch):
    (tmp_path / "COPYING").write_text("the text")
    put_command(
        "rpm",
        f"""case "$*" in
        *" -f "*) echo "zeromq 4.3.4-3.el8 x86_64" ;;
        *LICENSE*) printf LGPLv3+ ;;
        -qa*) echo "z.src.rpm zeromq"; echo "z.src.rpm common"; echo "o.src.rpm no" ;;
        *SOURCERPM*) printf z.src.rpm ;;
        *licensefiles*common) echo {tmp_path}/COPYING ;;
        *docfiles*common) echo {tmp_path}/README ;;
        esac""",
    )
    monkeypatch.setattr(
        owners, "distro", lambda: {"ID": "almalinux", "VERSION_ID": "8.10"}
    )
    owner = owners.Rpm.of(Path("/usr/lib64/libzmq.so.5"))
    assert owner.purl == (
        "pkg:rpm/almalinux/zeromq@4.3.4-3.el8?arch=x86_64&distro=almalinux-8.10"
    )
    assert owner.licenses() == [{"license": {"name": "LGPLv3+"}}]
    assert owner.texts() == {"COPYING": b"the text"}


@pytest.mark.parametrize(
    ("name", "licence", "texts"),
    [
        ("libzmq", "MPL-2.0", {"MPL-2.0.txt"}),
        ("libsodium", "ISC", {"ISC.txt", "NOTICE"}),
        (
            "libgcc",
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            {"GPL-3.0-or-later.txt", "GCC-exception-3.1.txt"},
        ),
    ],
)
@pytest.mark.usefixtures("commands")
def test_apk__texts_of_spdx(tmp_path, monkeypatch, name, licence, texts):
    for each in ("MPL-2.0", "ISC", "GPL-3.0-or-later", "GCC-exception-3.1"):
        (tmp_path / f"{each}.txt").write_text(each)
    monkeypatch.setattr(owners, "SPDX_TEXTS", tmp_path)
    put_command(
        "apk",
        f"""case "$*" in
        *who-owns*) echo "/usr/lib/libx.so.1 is owned by {name}-1.0.20-r1" ;;
        *license*) echo "{name}-1.0.20-r1 license:"; echo "{licence}"; echo ;;
        --print-arch) echo x86_64 ;;
        esac""",
    )
    owner = owners.Apk.of(Path("/usr/lib/libx.so.1"))
    assert (owner.name, owner.version, owner.arch) == (name, "1.0.20-r1", "x86_64")
    assert owner.licenses() == [{"expression": licence}]
    assert set(owner.texts()) == texts


@pytest.mark.parametrize(
    ("licence", "reason"), [("MIT", "See NOTICES"), ("Zlib", "Zlib.txt is missing")]
)
def test_apk__a_text_that_is_not_enough(
    commands, tmp_path, monkeypatch, licence, reason
):
    (tmp_path / "MIT.txt").write_text("Copyright (c) <year> <copyright holders>")
    monkeypatch.setattr(owners, "SPDX_TEXTS", tmp_path)
    put_command("apk", f'echo "libx-1-r0 license:"; echo "{licence}"')
    assert_fails(reason, owners.Apk("libx", "1-r0", "x86_64").texts)


def test_brew__owner_and_texts(commands, tmp_path):
    keg = tmp_path / "Cellar" / "zeromq" / "4.3.5_2"
    (keg / "lib").mkdir(parents=True)
    (keg / "LICENSE").write_text("the text")
    (keg / "README.md").write_text("no licence")
    put_command("brew", """echo '{"formulae": [{"license": "MPL-2.0"}]}'""")
    owner = owners.Brew.of(keg / "lib" / "libzmq.5.dylib")
    assert owner.purl == "pkg:brew/zeromq@4.3.5_2"
    assert owner.licenses() == [{"expression": "MPL-2.0"}]
    assert owner.texts() == {"LICENSE": b"the text"}
    assert_fails("is not Homebrew's", owners.Brew.of, Path("/usr/lib/libzmq.dylib"))


def test_vcpkg__owner_and_texts(tmp_path):
    prefix = tmp_path / "x64-windows-zraw"
    info = tmp_path / "vcpkg" / "info"
    (prefix / "share" / "zeromq").mkdir(parents=True)
    info.mkdir(parents=True)
    (info / "libsodium_1.0.20_x64-windows-zraw.list").write_text("x64-windows-zraw/\n")
    (info / "zeromq_4.3.5_x64-windows-zraw.list").write_text(
        "x64-windows-zraw/bin/\nx64-windows-zraw/bin/libzmq-mt-4_3_5.dll\n"
    )
    (prefix / "share" / "zeromq" / "copyright").write_text("the text")
    (prefix / "share" / "zeromq" / "vcpkg.spdx.json").write_text(
        json.dumps({"packages": [{"licenseConcluded": "MPL-2.0"}]})
    )
    owner = owners.Vcpkg.of(prefix / "bin" / "libzmq-mt-4_3_5.dll")
    assert owner.purl == "pkg:vcpkg/zeromq@4.3.5"
    assert owner.licenses() == [{"expression": "MPL-2.0"}]
    assert owner.texts() == {"copyright": b"the text"}
    assert_fails("no port with", owners.Vcpkg.of, prefix / "bin" / "other.dll")


def test_add_licences__are_named_in_the_metadata(tmp_path):
    wheel = repair_wheel.Wheel(make_wheel(tmp_path), tmp_path / "unpacked")
    packages = [Package("liba", "1"), Package("libb", "2")]
    added = repair_wheel.add_licences(wheel, packages)
    assert added == {
        name: [f"{INFO}/licenses/bundled/{name}/COPYING"] for name in ("liba", "libb")
    }
    assert (wheel.folder / added["libb"][0]).read_bytes() == b"of libb"
    head, _, body = (wheel.dist_info / "METADATA").read_text().partition("\n\n")
    assert body == "A text\n\nends.\n"
    assert head.splitlines()[-3:] == [
        "License-File: LICENSE",
        "License-File: bundled/liba/COPYING",
        "License-File: bundled/libb/COPYING",
    ]


def test_add_licences__no_text(tmp_path):
    wheel = repair_wheel.Wheel(make_wheel(tmp_path), tmp_path / "unpacked")
    packages = [Package("liba", "1"), Package("libb", "0")]
    assert_fails(
        "no licence text is found for libb 0",
        repair_wheel.add_licences,
        wheel,
        packages,
    )
