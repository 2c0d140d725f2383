"""The names of who takes part: a library, perhaps its loop, perhaps how it is used.

"c", "zraw", "zraw-many", "pyzmq-uvloop", "zraw-asyncio-many", …
"""

from __future__ import annotations

from importlib.util import find_spec

LOOPS = ("asyncio", "uvloop", "trio")
LABELS = {
    "c": "C",
    "tcp-streams": "raw tcp: streams",
    "tcp-protocol": "raw tcp: a Protocol",
    "sleep-alone": "no messages: sleep(0)",
    "sleep-loaded": "sleep(0) beside C programs",
}


def library_of(entrant: str) -> str:
    """The library whose interpreter it runs in; floors and controls use none."""
    library = entrant.partition("-")[0]
    return "zraw" if library in ("tcp", "sleep") else library


def loop_of(entrant: str) -> str:
    """The event loop it runs on, or "" where its name says none."""
    return next((part for part in entrant.split("-") if part in LOOPS), "")


def label(entrant: str) -> str:
    """What it is called in a table."""
    if entrant in LABELS:
        return LABELS[entrant]
    name, many, _ = entrant.partition("-many")
    return name.replace("-", " ") + (", recv_many" if many else "")


def loops_here() -> list[str]:
    """The loops that this interpreter has."""
    return [name for name in LOOPS if find_spec(name)]
