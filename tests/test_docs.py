"""The programs in README.md and docs/ run, and their fragments name what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from conftest import run_child
from zraw import aio

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(
            r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
        )
    )
]
# What the fragments call the handles that they talk about.
NAMES = {
    "handle": aio.Handle,
    "subscribe": aio.Subscribe,
    "publish": aio.Publish,
    "watcher": aio.Watcher,
}


def is_program(block: str) -> bool:
    return block.startswith(("import", "from"))


def test_docs__have_programs_and_fragments():
    kinds = [is_program(param.values[0]) for param in BLOCKS]
    assert kinds.count(True) >= 3
    assert kinds.count(False) >= 3


@pytest.mark.parametrize("block", [b for b in BLOCKS if is_program(b.values[0])])
def test_docs__program_runs(block):
    done = run_child(block)
    assert done.code == 0 and not done.err, done
    assert done.out, "it prints nothing"


@pytest.mark.parametrize("block", [b for b in BLOCKS if not is_program(b.values[0])])
def test_docs__fragment_names_what_exists(block):
    tree = compile(
        block,
        "fragment",
        "exec",
        flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            kind = NAMES.get(node.value.id)
            assert kind is None or hasattr(kind, node.attr), ast.unparse(node)
