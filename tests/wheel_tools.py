"""What the tests of the wheels share: the scripts, small wheels, false commands."""

from __future__ import annotations

import importlib
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / ".ci" / "repair_wheel.py").is_file():
    pytest.skip("there is no .ci here: no checkout", allow_module_level=True)
sys.path.insert(0, str(ROOT / ".ci"))
owners = importlib.import_module("owners")
repair_wheel = importlib.import_module("repair_wheel")
sys.path.remove(str(ROOT / ".ci"))

NAME = "zraw-1.2.3-cp312-cp312-linux_x86_64.whl"
INFO = "zraw-1.2.3.dist-info"
METADATA = (
    "Metadata-Version: 2.4\nName: zraw\nLicense-File: LICENSE\n\nA text\n\nends.\n"
)


def make_wheel(folder: Path, **more: bytes) -> Path:
    """Make a wheel as setuptools does, but small; RECORD is still empty."""
    files = {
        "zraw/constants.py": "\n".join(
            f"ZMQ_VERSION_{part} = {number}"
            for part, number in zip(("MAJOR", "MINOR", "PATCH"), (4, 3, 4), strict=True)
        ).encode(),
        f"{INFO}/METADATA": METADATA.encode(),
        f"{INFO}/RECORD": b"",
        f"{INFO}/licenses/LICENSE": b"MIT",
        **more,
    }
    path = folder / NAME
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return path


class Package(owners.Owner):
    """A package that is not installed."""

    kind = "generic"

    def licence(self):
        return "ISC"

    def texts(self):
        return {"COPYING": b"of " + self.name.encode()} if self.version != "0" else {}


def put_command(name: str, program: str, interpreter: str = "/bin/sh") -> None:
    """Make a command in the folder that `commands` has put first in PATH."""
    path = Path(os.environ["PATH"].split(os.pathsep)[0], name)
    path.write_text(f"#!{interpreter}\n{program}\n")
    path.chmod(0o755)


def assert_fails(reason: str, call: Callable[..., object], *args: object) -> None:
    """Assert that a call ends the script with one line."""
    with pytest.raises(SystemExit) as caught:
        call(*args)
    message = str(caught.value)
    assert message.startswith("repair_wheel: "), message
    assert reason in message
    assert "\n" not in message
