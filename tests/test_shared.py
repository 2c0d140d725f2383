"""Objects that many threads share: refused, or served, and nothing else; shared.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import shared
from aio_watch import unraisable
from conftest import FREE_THREADED


@pytest.fixture(autouse=True)
def switching() -> Iterator[None]:
    """Have threads take turns at every chance, where there is a GIL."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", list(shared.SHARED))
def test_shared__by_eight_threads(name):
    with unraisable() as errors:
        figures = shared.run(name, 0.5, 1)
    assert not errors
    assert figures["done"] > 100, figures


@pytest.mark.skipif(not FREE_THREADED, reason="this Python has a GIL")
def test_import__leaves_the_gil_off():
    """Every extension of zraw's says that it can do without."""
    assert not sys._is_gil_enabled()
