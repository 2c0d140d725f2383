"""Which package of this machine a library is from, and its licence texts.

One class for each package manager that zraw's wheels are built with: dpkg, rpm, apk,
Homebrew, vcpkg.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

TEXT = re.compile(r"^(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE)", re.I)
COMMON = re.compile(r"/usr/share/common-licenses/[\w.+-]*[\w+]")
SPDX_TEXTS = Path("/usr/share/spdx/text")
# Alpine's packages bring no licence texts.  SPDX has them, but not the line that names
# the holders, which these licences want to be kept.
WANT_NOTICE = re.compile(r"\b(ISC|MIT|BSD-\d)")
NOTICES = {"libsodium": "Copyright (c) 2013-2026 Frank Denis\n"}


def fail(reason: str) -> NoReturn:
    sys.exit(f"repair_wheel: {reason}")


def output(*command: str) -> str:
    """Return the standard output of a command that has to succeed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        fail(f"{command[0]}: {error.strerror}")
    if done.returncode:
        fail(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def distro() -> dict[str, str]:
    """Return what the system says of itself, as ID and VERSION_ID."""
    text = Path("/etc/os-release").read_text()
    return dict(re.findall(r'^(\w+)="?([^"\n]*)', text, re.M))


class Owner:
    """A package that a library is from."""

    kind = ""

    def __init__(self, name: str, version: str, arch: str = "") -> None:
        self.name = name
        self.version = version
        self.arch = arch

    @property
    def purl(self) -> str:
        """The package's URL, with the distribution where there is one."""
        where, extra = "", ""
        if self.arch:
            system = distro()
            where = f"{system['ID']}/"
            extra = f"?arch={self.arch}&distro={system['ID']}-{system['VERSION_ID']}"
        version = quote(self.version, safe=".:~-")
        return f"pkg:{self.kind}/{where}{quote(self.name)}@{version}{extra}"

    def licence(self) -> str:
        """The package's licence, an SPDX expression but for dpkg and rpm."""
        raise NotImplementedError

    def licenses(self) -> list[dict[str, object]]:
        return [{"expression": self.licence()}]

    def texts(self) -> dict[str, bytes]:
        """The licence texts, by file name."""
        raise NotImplementedError


class Deb(Owner):
    """dpkg: every package has a file with all that is to be said of its licences."""

    kind = "deb"

    @classmethod
    def of(cls, path: Path) -> Deb:
        # Packages older than the merge of /lib and /usr/lib are listed by the old path.
        for place in (path, Path(str(path).removeprefix("/usr"))):
            done = subprocess.run(
                ["dpkg-query", "--search", str(place)],
                capture_output=True,
                text=True,
                check=False,
            )
            if not done.returncode:
                package = done.stdout.split(": ")[0]
                form = "${Package} ${Version} ${Architecture}"
                told = output("dpkg-query", "--show", f"--showformat={form}", package)
                return cls(*told.split())
        fail(f"dpkg knows no package with {path}")

    def texts(self) -> dict[str, bytes]:
        path = Path("/usr/share/doc", self.name, "copyright")
        if not path.is_file():
            return {}
        found = {"copyright": path.read_bytes()}
        names = COMMON.findall(path.read_text(errors="replace"))
        if any(name.endswith("/LGPL-3") for name in names):
            names.append("/usr/share/common-licenses/GPL-3")  # which it refers to
        for name in names:
            if Path(name).is_file():
                found[Path(name).name] = Path(name).read_bytes()
        return found

    def licenses(self) -> list[dict[str, object]]:
        text = self.texts()["copyright"].decode(errors="replace")
        names = sorted(set(re.findall(r"^License:[ \t]*(\S.*?)\s*$", text, re.M)))
        names = names or ["stated in the licence text"]
        return [{"license": {"name": name}} for name in names]


class Rpm(Owner):
    """rpm: files are marked as licences, at times in a sister package alone."""

    kind = "rpm"

    @classmethod
    def of(cls, path: Path) -> Rpm:
        form = "%{NAME} %{VERSION}-%{RELEASE} %{ARCH}\n"
        told = output("rpm", "-q", "--qf", form, "-f", str(path))
        return cls(*told.splitlines()[0].split())

    def licence(self) -> str:
        return output("rpm", "-q", "--qf", "%{LICENSE}", self.name)

    def licenses(self) -> list[dict[str, object]]:
        return [{"license": {"name": self.licence()}}]

    def sisters(self) -> list[str]:
        source = output("rpm", "-q", "--qf", "%{SOURCERPM}", self.name)
        told = output("rpm", "-qa", "--qf", "%{SOURCERPM} %{NAME}\n")
        lines = (line.split() for line in told.splitlines())
        return [name for made, name in lines if made == source and name != self.name]

    def texts(self) -> dict[str, bytes]:
        for name in (self.name, *self.sisters()):
            told = output("rpm", "-q", "--licensefiles", name).splitlines()
            told += [
                line
                for line in output("rpm", "-q", "--docfiles", name).splitlines()
                if TEXT.match(Path(line).name)
            ]
            found = [Path(line) for line in told if Path(line).is_file()]
            if found:
                return {path.name: path.read_bytes() for path in found}
        return {}


class Apk(Owner):
    """apk: licences are SPDX expressions, their texts in spdx-licenses-text."""

    kind = "apk"

    @classmethod
    def of(cls, path: Path) -> Apk:
        told = output("apk", "info", "--who-owns", str(path)).split()[-1]
        name, version, release = told.rsplit("-", 2)
        return cls(name, f"{version}-{release}", output("apk", "--print-arch").strip())

    def licence(self) -> str:
        return output("apk", "info", "--license", self.name).splitlines()[1]

    def texts(self) -> dict[str, bytes]:
        licence = self.licence()
        found = {}
        for name in re.findall(r"[\w.+-]+", licence):
            if name not in ("AND", "OR", "WITH"):
                path = SPDX_TEXTS / f"{name}.txt"
                if not path.is_file():
                    fail(f"{path} is missing, the licence of {self.name}")
                found[path.name] = path.read_bytes()
        if self.name in NOTICES:
            found["NOTICE"] = NOTICES[self.name].encode()
        elif WANT_NOTICE.search(licence):
            fail(f"who holds the copyright of {self.name} ({licence})? See NOTICES")
        return found


class Brew(Owner):
    """Homebrew: a folder for each version, with what the source has at its top."""

    kind = "brew"

    @classmethod
    def of(cls, path: Path) -> Brew:
        parts = path.parts
        if "Cellar" not in parts:
            fail(f"{path} is not Homebrew's")
        at = parts.index("Cellar")
        owner = cls(parts[at + 1], parts[at + 2])
        owner.keg = Path(*parts[: at + 3])
        return owner

    keg: Path

    def licence(self) -> str:
        told = json.loads(output("brew", "info", "--json=v2", "--formula", self.name))
        return str(told["formulae"][0]["license"])

    def texts(self) -> dict[str, bytes]:
        return {
            path.name: path.read_bytes()
            for path in sorted(self.keg.iterdir())
            if path.is_file() and TEXT.match(path.name)
        }


class Vcpkg(Owner):
    """vcpkg: a list of files and a folder in share/ for each port."""

    kind = "vcpkg"
    prefix: Path

    @classmethod
    def of(cls, path: Path) -> Vcpkg:
        prefix = path.parent.parent
        line = f"{prefix.name}/{path.parent.name}/{path.name}".lower()
        for listed in sorted((prefix.parent / "vcpkg" / "info").glob("*.list")):
            if line in listed.read_text().lower().splitlines():
                owner = cls(*listed.stem.split("_")[:2])
                owner.prefix = prefix
                return owner
        fail(f"vcpkg knows no port with {path}")

    def licence(self) -> str:
        path = self.prefix / "share" / self.name / "vcpkg.spdx.json"
        port = json.loads(path.read_text(encoding="utf-8"))["packages"][0]
        return str(port["licenseConcluded"])

    def texts(self) -> dict[str, bytes]:
        path = self.prefix / "share" / self.name / "copyright"
        return {"copyright": path.read_bytes()} if path.is_file() else {}


def find_owner(path: Path) -> Owner:
    """Return the package that a library is from."""
    if sys.platform == "darwin":
        return Brew.of(path)
    if os.name == "nt":
        return Vcpkg.of(path)
    for tool, kind in (("dpkg-query", Deb), ("apk", Apk), ("rpm", Rpm)):
        if shutil.which(tool):
            return kind.of(path)
    fail("neither dpkg nor apk nor rpm is here")
