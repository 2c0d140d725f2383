"""A day of a few seconds, and a stream that is short; soak.py has the long ones."""

from __future__ import annotations

import json
import random
import sys

import pytest

import soak
import soak_acts
import soak_stream
import zraw
from conftest import run_child

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="it looks into /proc"
)

# What each act counts, at least once in a few seconds.
DONE = (
    "messages",
    "lent",
    "subscriptions",
    "connections",
    "polls",
    "timers",
    "contexts",
    "refused",
    "proxies",
    "loops",
    "cancelled",
    "killed",
    "signals",
    "raised",
    "children",
)
RUN = "import sys, soak; sys.exit(soak.main())"
LEVEL = {"fds": 80, "threads": 16, "pins": 0, "contexts": 1, "sockets": 36}
FLAT = {"rss": 70_000, "heap": 12_000, "blocks": 120_000, "objects": 26_000, **LEVEL}


def day(**changes):
    """Half an hour of quiet points; a function says how a figure changes."""
    samples = [{"seconds": 10.0 * index, **FLAT} for index in range(180)]
    for index, sample in enumerate(samples):
        for name, change in changes.items():
            sample[name] += change(index)
    return samples


def test_soak__everything_at_once():
    """All that was received was right, and every quiet point is like the others."""
    done = run_child(RUN, "--minutes", "0.08", "--every", "1", timeout=55)
    assert (done.code, done.err) == (0, ""), done
    *samples, last = map(json.loads, done.out.splitlines())
    assert len(samples) >= 3, done
    for name in soak.LEVELS:
        assert len({sample[name] for sample in samples}) == 1, (name, done)
    # Whatever is kept of every message would be a multiple of this.
    assert samples[-1]["heap"] - samples[0]["heap"] < 2048, done
    assert samples[0]["pins"] == 0
    assert samples[0]["contexts"] == 1
    assert [name for name in DONE if not last["counts"].get(name)] == []
    assert last["counts"]["messages"] >= samples[-1]["messages"] > 1000


def test_soak__a_message_that_is_wrong_ends_the_day():
    """The tool itself: what an act finds is told, and is the exit code."""
    done = run_child(
        """
        import sys, soak, soak_acts
        soak_acts.Stream.wrapped = lambda self, body: body[:-1] + b"?"
        sys.exit(soak.main())
        """,
        "--minutes=0.5",
        "--only=Stream",
        timeout=40,
    )
    assert done.code == 1, done
    assert done.err.startswith("Stream: Traceback"), done
    assert ", in number_of" in done.err, done
    assert done.err.count("AssertionError") == 1, done
    assert done.seconds < 20


def test_soak__finds_what_is_lost_doubled_or_changed():
    """The tool itself: numbers and checksums notice it."""
    rng = random.Random(1)
    frames = soak_acts.make(rng, 7, 3)
    assert soak_acts.number_of(frames) == 7
    for damaged in (
        frames[:2],
        [*frames, b""],
        [frames[0], frames[2] + b"x", frames[1]],
        [frames[0] + b"x", *frames[1:]],
        [frames[0][:-1] + bytes([frames[0][-1] ^ 1]), *frames[1:]],
    ):
        with pytest.raises(AssertionError):
            soak_acts.number_of(damaged)


def test_soak__judge_allows_noise():
    assert soak.judge(day(rss=lambda index: 2000 * (index % 2))) == []
    assert soak.judge(day(rss=lambda index: min(index, 50) * 1000)) == []  # warms up


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rss", lambda index: 20 * index),
        ("heap", lambda index: 5 * index + 100 * (index % 3)),
        ("blocks", lambda index: 20 * index),
        ("objects", lambda index: 2 * index),
        ("fds", lambda index: index // 100),
        ("threads", lambda index: index == 150),
        ("pins", lambda index: index > 170),
        ("sockets", lambda index: -(index == 179)),
    ],
)
def test_soak__judge_finds_growth(name, change):
    (wrong,) = soak.judge(day(**{name: change}))
    assert wrong.startswith(f"{name}: ")


def test_soak_stream__arrives_in_order():
    figures = soak_stream.run(200_000)
    assert figures["messages"] == 201 * soak_stream.BATCH
    assert figures["per_second"] > 1000


def test_soak_stream__bodies_of_every_size():
    joined, bodies = soak_stream.batch_of(5000)
    assert b"".join(bodies) == joined
    assert [len(body) for body in bodies[:10]] == [*range(8, 17), 8]
    numbers = [int.from_bytes(body[:8], "little") for body in bodies]
    assert numbers == list(range(5000, 5000 + soak_stream.BATCH))


@pytest.mark.parametrize(
    "damage",
    [
        lambda bodies: [b"\1" + bodies[0][1:], *bodies[1:]],
        lambda bodies: [*bodies[:-1], bodies[-1][:-1] + b"\1"],
        lambda bodies: [bodies[9], *bodies[1:9], bodies[0], *bodies[10:]],
        lambda bodies: [bodies[0] + bodies[1][:1], bodies[1][1:], *bodies[2:]],
    ],
    ids=["first", "last", "places", "border"],
)
def test_soak_stream__compares_every_message(ctx, sock, pair, damage):
    """The tool itself notices what is changed anywhere."""
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    _, bodies = soak_stream.batch_of(0)
    push.send_many(damage(list(bodies)))
    with pytest.raises(AssertionError):
        soak_stream.receive(pull, 1)
