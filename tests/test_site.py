"""The programs of the site print what its pages say; links lead somewhere."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import zraw
from conftest import run_child
from zraw import aio, capi

DOCS = Path(__file__).parents[1] / "docs"
TOLD = [
    DOCS / "index.md",
    *sorted(DOCS.glob("tutorial/*.md")),
    *sorted(DOCS.glob("howto/*.md")),
]
# A program, and below it what it prints.
PROGRAM = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.S | re.M)
PROGRAMS = [
    pytest.param(*found.groups(), id=f"{page.relative_to(DOCS)}-{number}")
    for page in TOLD
    for number, found in enumerate(PROGRAM.finditer(page.read_text()))
]
FENCE = re.compile(r"^ *(`{3,}).*?^ *\1$", re.S | re.M)
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]*)(?:#([^)\s]*))?\)")
PAGES = sorted(DOCS.rglob("*.md"))


def skip_without(needs: str) -> None:
    """Skip where something is not there that the program's first line asks for."""
    for need in needs.split(", "):
        there = (
            zraw.has("draft")
            if need == "libzmq's draft API"
            else (importlib.util.find_spec(need) is not None)
        )
        if not there:
            pytest.skip(f"needs {need}")


@pytest.mark.parametrize(("program", "output"), PROGRAMS)
def test_site__program_prints_what_the_page_says(program, output):
    assert output is not None, "what it prints does not stand below it"
    if needs := re.match(r"# needs (.*)\n", program):
        skip_without(needs[1])
    done = run_child(program)
    assert (done.code, done.err) == (0, ""), done
    assert done.out == output


def test_site__has_programs():
    assert len(PROGRAMS) >= 40


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as forges and the site name them."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles
    }


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(DOCS))) for page in PAGES]
)
def test_site__links_lead_somewhere(page):
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    for path, place in LINK.findall(text):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if not place:
            continue
        if line := re.fullmatch(r"L(\d+)", place):
            assert int(line[1]) <= len(target.read_text().splitlines()), path
        else:
            assert place in headings(target), f"{path}#{place}"


def public() -> set[str]:
    """Return the names that the reference has to have, with their classes."""
    names = {"zraw.errno"}
    for name in zraw.__all__:
        value = getattr(zraw, name)
        if callable(value):
            names.add(f"zraw.{name}")
        if not inspect.isclass(value) or issubclass(value, BaseException | tuple):
            continue
        for kind in value.__mro__[:-1]:
            inner = [key for key in vars(kind) if not key.startswith("_")]
            names.update(f"zraw.{name}.{key}" for key in inner)
    names |= {
        f"zraw.capi.{key}" for key, x in vars(capi).items() if inspect.isbuiltin(x)
    }
    return names | {f"zraw.aio.{name}" for name in aio.__all__}


def test_site__reference_has_everything():
    text = "".join(page.read_text() for page in DOCS.glob("api/*.md"))
    found = re.findall(r"^\.\. auto\w+:: ([\w.]+)$", text, re.M)
    assert len(found) == len(set(found))
    assert set(found) == public()


def test_site__pictures_are_what_draw_draws(tmp_path):
    path = DOCS / "pictures" / "draw.py"
    spec = importlib.util.spec_from_file_location("draw", path)
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    draw.FOLDER = tmp_path
    draw.main()
    drawn = {file.name: file.read_text() for file in tmp_path.glob("*.svg")}
    assert drawn == {file.name: file.read_text() for file in path.parent.glob("*.svg")}
