"""Put libzmq into a wheel, with its licences, an SBOM and zmq.h.

    python .ci/repair_wheel.py WHEEL FOLDER [ARGUMENT...]

auditwheel, delocate or delvewheel copies the libraries, and gets the arguments left
over.  What those leave out is added here; the standard library is enough for it.
The same file serves cibuildwheel on every platform and .ci/wheel on Debian.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path, PurePosixPath

from owners import Owner, fail, find_owner, output

CAPABILITIES = ["curve", "ipc", "pgm", "norm", "tipc", "gssapi", "vmci", "WS", "WSS"]
CAPABILITIES += ["draft"]
LIBRARY = re.compile(r"\.(so(\.[0-9.]+)?|dylib|dll)$")
# What auditwheel (8 digits) and delvewheel (32) put into the name of a library.
MARK = re.compile(r"-(?:[0-9a-f]{32}|[0-9a-f]{8})(?=\.)")
# Runs in a child: a library that is loaded cannot be deleted on Windows.
PROBE = """
import ctypes, os, sys
if hasattr(os, "add_dll_directory"):
    os.add_dll_directory(os.path.dirname(sys.argv[1]))
lib = ctypes.CDLL(sys.argv[1])
numbers = [ctypes.c_int() for _ in range(3)]
lib.zmq_version(*map(ctypes.byref, numbers))
print(*(number.value for number in numbers), sep=".")
print(*(name for name in sys.argv[2:] if lib.zmq_has(name.encode())))
"""


class Wheel:
    """A wheel, unpacked into a folder."""

    def __init__(self, archive: Path, folder: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        self.archive = archive
        self.folder = folder
        self.name, self.version = archive.name.split("-")[:2]
        self.dist_info = folder / f"{self.name}-{self.version}.dist-info"
        self.package = folder / self.name

    def files(self) -> list[str]:
        """Return every file's name in the archive, those about the wheel last."""
        names = [
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file()
        ]
        return sorted(names, key=lambda name: (".dist-info/" in name, name))

    def add(self, name: str, text: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)

    def pack(self, target: Path) -> None:
        """Write RECORD anew, and the archive."""
        record = f"{self.dist_info.name}/RECORD"
        files = [name for name in self.files() if name != record]
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        for name in files:
            content = (self.folder / name).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
            writer.writerow(
                [name, f"sha256={digest.decode().rstrip('=')}", len(content)]
            )
        writer.writerow([record, "", ""])
        self.add(record, rows.getvalue().encode())
        now = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as opened:
            for name in [*files, record]:
                entry = zipfile.ZipInfo(name, now[:6])
                entry.compress_type = zipfile.ZIP_DEFLATED
                mode = 0o755 if LIBRARY.search(name) else 0o644
                entry.external_attr = (0o100000 | mode) << 16
                opened.writestr(entry, (self.folder / name).read_bytes())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_tool(wheel: Path, folder: Path, arguments: list[str]) -> Path:
    """Run the platform's tool; return the wheel that it made."""
    command = {
        "linux": ["auditwheel", "repair", "--strip"],
        "darwin": ["delocate-wheel", "-v"],
        "win32": ["delvewheel", "repair", "-v"],
    }[sys.platform]
    if sys.platform == "win32":
        command += ["--add-path", str(Path(os.environ["ZRAW_PREFIX"], "bin"))]
    folder.mkdir()
    done = subprocess.run(
        [*command, *arguments, "-w", str(folder), str(wheel)], check=False
    )
    made = list(folder.glob("*.whl"))
    if done.returncode or len(made) != 1:
        fail(f"{command[0]} failed")
    return made[0]


def candidates(plain: Wheel) -> list[Path]:
    """Return the files of this machine that the tool may have copied."""
    if sys.platform == "linux":
        found: set[Path] = set()
        for extension in plain.package.glob("*.so"):
            # musl's ldd also complains that nobody defines Python's functions.
            told = subprocess.run(
                ["ldd", str(extension)], capture_output=True, text=True, check=False
            )
            for path in re.findall(r"=> (/\S+)", told.stdout):
                found.add(Path(path).resolve())
        return sorted(found)
    if sys.platform == "darwin":
        prefix = Path(output("brew", "--prefix").strip())
        places = [prefix.glob("lib/*.dylib"), prefix.glob("opt/*/lib/*.dylib")]
        return sorted({path.resolve() for place in places for path in place})
    return sorted(Path(os.environ["ZRAW_PREFIX"], "bin").glob("*.dll"))


def find_origin(name: str, paths: list[Path]) -> Path:
    """Return the file that a library in the wheel was copied from."""
    base = PurePosixPath(name).name
    plain = MARK.sub("", base, count=1).lower()
    found = [path for path in paths if path.name.lower() in (plain, base.lower())]
    if sys.platform == "linux":  # where the mark says of which content it was made
        found = [path for path in found if f"-{sha256(path)[:8]}." in base]
    if not found:
        fail(f"nothing on this machine looks like {name}")
    return found[0]


def probe(library: Path) -> tuple[str, list[str]]:
    """Return version and capabilities of the libzmq in the wheel."""
    told = output(sys.executable, "-c", PROBE, str(library), *CAPABILITIES)
    version, has = told.splitlines()
    if "curve" not in has.split():
        fail(f"{library.name} has no CURVE: zmq_has('curve') says no")
    return version, has.split()


def find_header() -> Path:
    """Return the zmq.h that setup.py found."""
    if prefix := os.environ.get("ZRAW_PREFIX"):
        return Path(prefix, "include", "zmq.h")
    tool = os.environ.get("PKG_CONFIG", "pkg-config")
    folder = output(tool, "--variable=includedir", "libzmq").strip()
    return Path(folder, "zmq.h")


def defined_version(text: str, form: str) -> str:
    """Return libzmq's version from the three numbers of a header or a module."""
    parts = [
        re.search(form.format(f"ZMQ_VERSION_{part}"), text, re.M)
        for part in ("MAJOR", "MINOR", "PATCH")
    ]
    return ".".join(part[1] if part else "?" for part in parts)


def add_header(wheel: Wheel, path: Path) -> str:
    """Copy zmq.h into the wheel; return the licence that it states."""
    if not path.is_file():
        fail(f"{path} is missing")
    content = path.read_bytes()
    text = content.decode(errors="replace")
    built = (wheel.package / "constants.py").read_text()
    wanted = defined_version(built, r"^{} = (\d+)")
    found = defined_version(text, r"^#define {} (\d+)")
    if wanted != found:
        fail(f"the wheel was built with libzmq {wanted}, {path} is of {found}")
    if "MPL-2.0" in text or "Mozilla Public License" in text:
        licence = "MPL-2.0"
    elif "Lesser General Public License" in text:
        licence = "LGPL-3.0-or-later, with libzmq's exception for static linking"
    else:
        fail(f"{path} states no licence")
    wheel.add(f"{wheel.name}/include/zmq.h", content)
    return licence


def add_licences(wheel: Wheel, owners: list[Owner]) -> dict[str, list[str]]:
    """Copy the texts, name them in METADATA; return their names by package."""
    metadata = wheel.dist_info / "METADATA"
    head, blank, body = metadata.read_bytes().partition(b"\n\n")
    added: dict[str, list[str]] = {}
    for owner in owners:
        texts = owner.texts()
        if not texts:
            fail(f"no licence text is found for {owner.name} {owner.version}")
        for name, content in texts.items():
            place = f"bundled/{owner.name}/{name}"
            head += f"\nLicense-File: {place}".encode()
            place = f"{wheel.dist_info.name}/licenses/{place}"
            wheel.add(place, content)
            added.setdefault(owner.name, []).append(place)
    metadata.write_bytes(head + blank + body)
    return added


def as_file(wheel: Wheel, name: str) -> dict[str, object]:
    digest = sha256(wheel.folder / name)
    return {
        "type": "file",
        "bom-ref": name,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def properties(name: str, values: list[str]) -> list[dict[str, str]]:
    return [{"name": f"zraw:{name}", "value": value} for value in values]


def describe(
    wheel: Wheel,
    owned: dict[str, Owner],
    texts: dict[str, list[str]],
    libzmq: dict[str, object],
) -> dict[str, object]:
    """Return the wheel's bill of materials: CycloneDX 1.6, as PEP 770 wants it."""
    itself = f"pkg:pypi/{wheel.name}@{wheel.version}"
    owners = {owner.purl: owner for owner in owned.values()}
    components: list[dict[str, object]] = [libzmq]
    for purl, owner in sorted(owners.items()):
        files = sorted(name for name, other in owned.items() if other.purl == purl)
        components.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": owner.name,
                "version": owner.version,
                "licenses": owner.licenses(),
                "purl": purl,
                "components": [as_file(wheel, name) for name in files],
                "properties": properties("licence-text", texts[owner.name]),
            }
        )
    refs = [str(component["bom-ref"]) for component in components]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": itself,
                "name": wheel.name,
                "version": wheel.version,
                "licenses": [{"license": {"id": "MIT"}}],
                "purl": f"{itself}?file_name={wheel.archive.name}",
            },
        },
        "components": components,
        "dependencies": [
            {"ref": itself, "dependsOn": refs},
            *({"ref": ref} for ref in refs),
        ],
    }


def describe_libzmq(
    version: str, has: list[str], licence: str, digest: str
) -> dict[str, object]:
    """Return libzmq as its authors released it: what advisories are written about."""
    stated: dict[str, object] = {"name": licence}
    if licence == "MPL-2.0":
        stated = {"id": licence}
    return {
        "type": "library",
        "bom-ref": "libzmq",
        "name": "libzmq",
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": stated}],
        "cpe": f"cpe:2.3:a:zeromq:libzmq:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:github/zeromq/libzmq@v{version}",
        "properties": properties("has", has),
    }


def repair(archive: Path, folder: Path, arguments: list[str], work: Path) -> Path:
    """Make the wheel that is to be published; return it."""
    plain = Wheel(archive, work / "plain")
    wheel = Wheel(run_tool(archive, work / "tool", arguments), work / "wheel")
    before = set(plain.files())
    bundled = [
        name
        for name in wheel.files()
        if name not in before and LIBRARY.search(name) and ".dist-info/" not in name
    ]
    libraries = [name for name in bundled if "libzmq" in PurePosixPath(name).name]
    if len(libraries) != 1:
        fail(f"one libzmq is expected inside the wheel, found: {libraries or 'none'}")
    libzmq = wheel.folder / libraries[0]
    version, has = probe(libzmq)
    licence = add_header(wheel, find_header())
    paths = candidates(plain)
    owned = {name: find_owner(find_origin(name, paths)) for name in bundled}
    owners = list({owner.purl: owner for owner in owned.values()}.values())
    texts = add_licences(wheel, sorted(owners, key=lambda owner: owner.name))
    for other in (wheel.dist_info / "sboms").glob("*.cdx.json"):
        other.unlink()  # the tool's own: ours says the same and more
    upstream = describe_libzmq(version, has, licence, sha256(libzmq))
    bill = json.dumps(describe(wheel, owned, texts, upstream), indent=1) + "\n"
    wheel.add(f"{wheel.dist_info.name}/sboms/{wheel.name}.cdx.json", bill.encode())
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / wheel.archive.name
    wheel.pack(target)
    print(f"{target.name}: libzmq {version} with {' '.join(has)}")
    for name, owner in owned.items():
        print(f"  {name}: {owner.purl}")
    return target


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    options, arguments = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory() as work:
        repair(options.wheel, options.folder, arguments, Path(work))


if __name__ == "__main__":
    main()
