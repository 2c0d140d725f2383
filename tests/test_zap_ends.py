"""The ZAP handler of examples/zap.py: how it begins and ends, and as a program."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys

import anyio
import pytest

import zraw
from conftest import wait_until
from programs import check
from zap_tools import (
    ALICE,
    AS_ALICE,
    DENIED,
    EXAMPLES,
    HANDSHAKES,
    MECHANISMS,
    NO_HANDLER,
    RULES,
    SUCCEEDED,
    Gate,
    curve,
    event_of,
    needs_curve,
    plain,
    received,
    zap,
)


@pytest.fixture
def gate(ctx, sock):
    with Gate(ctx, sock) as made:
        yield made


# ---- its beginning and its end


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("enforce", [0, 1])
def test_zap_enforce_domain__while_there_is_no_handler(ctx, gate, mechanism, enforce):
    """Without it, NULL and CURVE let in everybody, once a handler has ended."""
    server, where, reader = gate.place(mechanism, ZAP_ENFORCE_DOMAIN=enforce)
    once = {**AS_ALICE[mechanism], "RECONNECT_IVL": 60000}
    with zap.ZapHandler(ctx, {"test": {}}), gate.says(where, b"too soon", once):
        assert event_of(reader) == DENIED
    with gate.says(where, b"meanwhile", once):
        if enforce or mechanism == "PLAIN":
            assert event_of(reader) == NO_HANDLER
        else:
            assert server.recv() == b"meanwhile"
            assert event_of(reader) == SUCCEEDED
    with zap.ZapHandler(ctx, {"test": RULES}):
        gate.says(where, b"friendly", AS_ALICE[mechanism])
        assert server.recv() == b"friendly"


def test_zap__one_handler_for_each_context(ctx, gate):
    first = gate.handler({})
    with pytest.raises(zraw.AddressInUse):
        gate.handler({})
    first.stop()
    first.stop()
    assert gate.handler({}).domains == {}
    with zraw.Context() as other, zap.ZapHandler(other, {}):
        pass
    with pytest.raises(ValueError):
        gate.handler({"test": {"users": 3}})  # before there is a socket
    with pytest.raises(zraw.AddressInUse):
        gate.handler()


START = """
sys.path.append(sys.argv[1])
import zap
rules = {"test": {"anonymous": True}}

def serve(context):
    "A handler, and a server that somebody was let in to."
    handler = zap.ZapHandler(context, rules)
    server, client = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
    server.setsockopt(zraw.ZMQ_ZAP_DOMAIN, "test")
    server.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(b"x")
    assert server.recv() == b"x"
    return handler, server, client
"""
ENDS = {
    "forgotten": "serve(context)",
    "forgotten with a context of its own": "kept = serve(zraw.Context())",
    "context.close()": """
handler = serve(context)[0]
context.close(linger=0)
assert not handler._thread.is_alive()
handler.stop()
""",
    "context.term()": """
context.close()
other = zraw.Context()
handler, *sockets = serve(other)
for socket in sockets:
    socket.close()
other.term()
handler.stop()
assert not handler._thread.is_alive()
""",
    "context.shutdown()": """
handler = serve(context)[0]
context.shutdown()
handler.stop()
assert not handler._thread.is_alive()
""",
    "while peers come and go": """
context.close()
for number in range(60):
    other = zraw.Context()
    handler, server, client = serve(other)
    where = server.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    for _ in range(10):
        other.socket(zraw.ZMQ_PUSH).connect(where)
    if number % 2:
        handler.stop()
    other.close(linger=0)
    handler.stop()
    assert not handler._thread.is_alive()
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_zap__ends(end):
    """A forgotten socket warns; the end is quick, and nothing else is said."""
    quiet = 'warnings.simplefilter("ignore", ResourceWarning)\n'
    done = check(START + quiet + ENDS[end], str(EXAMPLES))
    assert done.seconds < 8


# ---- on an event loop, and as a program


def test_zap__serve_on_an_event_loop(on_loop, ctx, gate):
    server, where, reader = gate.place("PLAIN")
    rules = zap.Rules({"test": RULES})

    def ask():
        gate.says(where, b"sneaky", plain("alice", "wrong"))
        assert event_of(reader) == DENIED
        gate.says(where, b"friendly", AS_ALICE["PLAIN"])
        assert received(server) == (b"friendly", "alice", "admin")

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(zap.serve, zap.bound(ctx), rules)
            await anyio.to_thread.run_sync(ask)
            group.cancel_scope.cancel()

    on_loop(main)
    assert server.try_recv() is None
    with zap.ZapHandler(ctx):  # the endpoint is free again
        pass


@needs_curve
def test_zap__program_tells_its_story():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "zap.py"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "alice: alice (admin) from 127.0.0.1",
        "bob: refused with 400",
        "bob: bob (guest) from 127.0.0.1",
    ]


@needs_curve
def test_zap__server_reads_its_rules_at_sighup(sock, tmp_path):
    rules, out = tmp_path / "rules.json", tmp_path / "out"
    rules.write_text(json.dumps({"example": {"keys": {}}}))
    args = ["server", "tcp://127.0.0.1:*", "--rules", str(rules)]
    with out.open("w") as file:
        program = subprocess.Popen(
            [sys.executable, EXAMPLES / "zap.py", *args],
            stdout=file,
            stderr=subprocess.STDOUT,
        )

    def line(number):
        wait_until(lambda: out.read_text().count("\n") > number)
        return out.read_text().splitlines()[number]

    def ask():
        options = {**curve(ALICE), "CURVE_SERVERKEY": key[1:-1]}
        client = sock(zraw.ZMQ_REQ, **options)
        with client.monitor(events=HANDSHAKES) as reader:
            reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
            client.connect(where)
            client.send(b"who am I?")
            event = event_of(reader)
        return client.recv() if event == SUCCEEDED else event

    try:
        where, key = line(0).removeprefix("for clients: ").split(" --key=")
        assert ask() == DENIED
        text = json.dumps({"example": {"keys": {ALICE[0]: "Alice"}}})
        for number, (content, said) in enumerate(
            [(text, "rules read again"), ("{", "the old rules stay: ")], start=1
        ):
            rules.write_text(content)
            program.send_signal(signal.SIGHUP)
            assert line(number).startswith(said)
            assert ask() == b"Alice () from 127.0.0.1"
    finally:
        code = None
        for _ in range(4):  # one that comes just before a wait begins is seen after it
            program.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = program.wait(3)
                break
        program.kill()
    assert code == 0
    assert out.read_text().count("\n") == 3
