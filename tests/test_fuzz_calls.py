"""Random calls of every public callable: only what its docstring names is raised.

`python -m tests.campaign fuzz` makes ten million of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import fuzzing
import zraw
from conftest import run_child
from fuzzing_child import last_calls
from fuzzing_values import Given, Seeded
from fuzzing_world import World

CALLS = 25_000
SEEDS = (1, 2)


def test_table__has_every_public_name():
    names = {call.name for call in fuzzing.table()}
    for name in zraw.__all__:
        value = getattr(zraw, name)
        if callable(value) and not fuzzing.is_exception(value):
            assert name in names
            for inner in dir(value) if isinstance(value, type) else ():
                if inner.startswith("_") or issubclass(value, tuple):
                    continue
                assert f"{name}.{inner}" in names
    assert {"Socket.pin_threshold=", "Message.__len__", "errno", "poll"} <= names


def test_table__knows_arguments():
    calls = {call.name: call for call in fuzzing.table()}
    assert calls["Socket"].names == ("context", "type")
    assert (calls["Socket.send"].names, calls["Socket.send"].least) == (
        ("data", "flags"), 1
    )  # fmt: skip
    assert calls["Message.init_size"].owner is None
    assert calls["Message.copy"].owner is zraw.Message


def test_documented__follows_what_a_docstring_refers_to():
    assert "Again" in fuzzing.documented("Socket.send")
    assert "Again" in fuzzing.documented("Socket.send_many")
    assert "Again" not in fuzzing.documented("Socket.try_send")
    assert "HostUnreachable" in fuzzing.documented("Socket.try_send")
    assert "AddressInUse" in fuzzing.documented("Socket.unbind")
    assert "NotFound" in fuzzing.documented("Socket.unbind")
    assert "InvalidHandle" in fuzzing.documented("Timers.timeout")
    assert fuzzing.documented("AtomicCounter.inc") == {"InvalidHandle"}
    assert fuzzing.documented("strerror") == frozenset()


@pytest.mark.parametrize("seed", SEEDS)
def test_calls__raise_only_what_is_documented(seed, tmp_path):
    notes = tmp_path / "notes"
    command = [sys.executable, "-X", "faulthandler", "fuzzing_child.py"]
    done = subprocess.run(
        [*command, str(seed), str(CALLS), str(notes)],
        cwd=Path(__file__).parent, capture_output=True, text=True, timeout=50,
        check=False,
    )  # fmt: skip
    lines = [json.loads(text) for text in done.stdout.splitlines()]
    found = [line for line in lines if "error" in line]
    assert done.returncode == 0, (done.stderr[:1500], last_calls(notes))
    assert not found, found
    assert lines[-1]["calls"] >= CALLS
    # They got far: libzmq was asked, and objects were used after their end.
    raised = lines[-1]["raised"]
    for name in ("Again", "InvalidArgument", "NotASocket", "InvalidHandle", "NotFound"):
        assert raised[name] > 10, raised


def test_calls__are_reported_when_they_raise_something_else():
    found = []
    world = World(Seeded(1), lambda *what: found.append(what))
    call = fuzzing.Call("made up", int, None, ("x",), 1, fuzzing.USUAL)
    world.judge(call, [5], {}, KeyError("x"), alone=True)
    world.judge(call, [5], {}, ValueError("x"), alone=True)
    world.judge(call, [5], {}, SystemError("x"), alone=True)
    for end in world.values.pipe:
        end.close()
    assert [(name, type(error)) for name, _, error in found] == [
        ("made up", KeyError), ("made up", SystemError)
    ]  # fmt: skip


def test_calls__follow_from_the_seed():
    def choices(choose):
        return [choose.below(limit) for limit in (1, 7, 300, 256, 7, 70000, 2)]

    assert choices(Seeded(5)) == choices(Seeded(5)) != choices(Seeded(6))
    data = bytes(range(1, 40))
    assert choices(Given(data)) == choices(Given(data)) != choices(Given(data[1:]))


def test_calls__that_crash_leave_their_notes(tmp_path):
    notes = tmp_path / "notes"
    done = run_child(
        """
        import os, sys
        from fuzzing_child import notes
        note = notes(sys.argv[1])
        for number in range(100):
            note(f"call {number}")
        os.abort()
        """,
        str(notes),
    )
    assert done.code < 0
    assert last_calls(notes, 2) == ["00000098 call 98", "00000099 call 99"]
