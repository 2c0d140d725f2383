"""Nothing of zmq.h is missing: all is linked, documented and tested by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import api_map
import zraw
from zmq_h import DRAFTS, functions, newer_functions, symbols

EXTENSIONS = sorted(Path(zraw.__file__).parent.glob("*.so"))
WANTED = (functions(DRAFTS) | newer_functions()) - set(api_map.EXCLUDED)
ENTRIES = api_map.entries()


def test_complete__exclusions_are_declared_and_not_bound():
    for function, reason in api_map.EXCLUDED.items():
        assert function in functions(), function
        assert reason
    assert not set(api_map.declared()) & set(api_map.EXCLUDED)
    assert len(WANTED) >= 87


@pytest.mark.skipif(sys.platform != "linux", reason="nm is about ELF")
def test_complete__every_function_is_linked():
    """U is a symbol that the loader looks for, w one that may be absent."""
    linked = {}
    for extension in EXTENSIONS:
        if not extension.name.startswith("capi."):  # it hands them out, unused
            linked |= symbols(extension)
    assert {name for name, letter in linked.items() if letter in "Uw"} == WANTED


def test_complete__every_function_is_declared_for_cython():
    assert set(api_map.declared()) == WANTED


@pytest.mark.parametrize("function", sorted(WANTED))
def test_complete__every_function_is_in_a_docstring(function):
    entry, *_ = api_map.python_names(function, ENTRIES)
    found: object = zraw
    for name in entry.name.split("."):
        found = getattr(found, name)
    assert f"{function}()" in str(found.__doc__)


@pytest.mark.parametrize("function", sorted(WANTED))
def test_complete__every_function_has_a_test_of_its_name(function):
    assert api_map.tests().get(function)


def test_complete__docstrings_name_no_other_function():
    named = {function for entry in ENTRIES for function in entry.calls}
    assert named == WANTED


def test_complete__api_map_is_up_to_date():
    assert api_map.PAGE.read_text() == api_map.page(), "run: python docs/api_map.py"
