"""Other people's ZeroMQ, in six languages, talks with zraw; so do its certificates."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zmq.auth

import zraw
from drafts import drafts
from interop_peers import (
    HERE_ARE,
    KINDS,
    MESSAGES,
    OTHERS,
    TCP,
    Peer,
    body,
    connected,
    frames,
    shape,
    talk,
)
from peers import raw_peer, read

sys.path.append(str(Path(__file__).parent.parent / "examples"))
certificates = importlib.import_module("certificates")

CZMQ, JEROMQ = KINDS["czmq"], KINDS["jeromq"]
every = pytest.mark.parametrize("kind", HERE_ARE, ids=lambda kind: kind.name)
with_curve = pytest.mark.parametrize(
    "kind", [kind for kind in HERE_ARE if kind.curve], ids=lambda kind: kind.name
)
binding = pytest.mark.parametrize("binds", [True, False], ids=["binds", "connects"])
FEW = ["0", "300", "0,300,0", "70000,1"]
REFUSALS = (
    zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


needs_curve = pytest.mark.skipif(not zraw.has("curve"), reason="libzmq without CURVE")


def only(name):
    """Leave a test out whose peer is not here: the one skip below says that."""
    return (lambda test: test) if KINDS[name] in HERE_ARE else (lambda test: None)


def or_skip(name):
    missing = KINDS[name].missing()
    mark = pytest.mark.skipif(bool(missing), reason=f"{name} is not here: {missing}")
    return pytest.param(name, marks=mark)


@pytest.mark.parametrize("name", [or_skip(name) for name in KINDS])
def test_interop_peers__are_here(name):
    words = KINDS[name].version().split()
    assert words[0].rstrip(",") == {"perl": "ZMQ::FFI"}.get(name, name)


# ---- patterns


@every
@binding
@pytest.mark.parametrize("role", OTHERS)
def test_interop_peers__every_message_arrives_whole(kind, role, binds):
    talk(kind, role, binds, kind.able(OTHERS[role], MESSAGES))


@every
def test_interop_peers__notice_a_wrong_byte(sock, kind):
    push = sock(zraw.ZMQ_PUSH)
    changed = bytearray(body(70000))
    changed[-1] ^= 1
    with connected(push, kind, "pull", True, ["300", "1,70000,0"]) as peer:
        push.send_multipart([b"x" * 300])
        push.send_multipart([body(1), changed, b""])
        assert peer.finish() == ["wrong", "1,wrong,0"]


DRAFT_PAIRS = {"client": "server", "server": "client"}
DRAFT_PAIRS |= {"scatter": "gather", "gather": "scatter"}


@only("zeromq.js")  # the one that brings a libzmq with drafts
@pytest.mark.parametrize("role", DRAFT_PAIRS)
@pytest.mark.parametrize("binds", [True, False], ids=["binds", "connects"])
@drafts
def test_interop_peers__drafts(sock, role, binds):
    socket = sock(getattr(zraw, f"ZMQ_{role.upper()}"))
    said = [message for message in MESSAGES if "," not in message]
    other = DRAFT_PAIRS[role]
    with connected(socket, KINDS["zeromq.js"], other, binds, said) as peer:
        for message in said:
            if role in ("client", "scatter"):
                socket.send(*frames(message))
            if role != "scatter":
                got = socket.recv_msg()
                assert shape([bytes(got)]) == message
            if role == "server":
                socket.send(got)
        assert peer.finish() == ([] if other == "scatter" else said)


# ---- CURVE


def for_server(secret):
    return {"CURVE_SERVER": 1, "CURVE_SECRETKEY": secret}


def for_client(server, public, secret):
    keys = {"SERVERKEY": server, "PUBLICKEY": public, "SECRETKEY": secret}
    return {f"CURVE_{name}": key for name, key in keys.items()}


def as_environment(options):
    """What tells a peer what the options of a socket would."""
    return {
        name.replace("KEY", "_KEY"): key
        for name, key in options.items()
        if name.endswith("KEY")
    }


@needs_curve
@with_curve
@binding
@pytest.mark.parametrize("serves", [True, False], ids=["server", "client"])
def test_curve__with_either_end_as_the_server(kind, serves, binds):
    public, secret = zraw.curve_keypair()
    server = for_server(secret)
    client = for_client(public, *zraw.curve_keypair())
    ours, theirs = (server, client) if serves else (client, server)
    env = as_environment(theirs)
    talk(kind, "rep" if serves else "req", binds, FEW, options=ours, env=env)


@needs_curve
@with_curve
def test_curve__peer_with_a_wrong_key_stays_out(sock, kind):
    pull = sock(zraw.ZMQ_PULL, **for_server(zraw.curve_keypair()[1]))
    wrong, _ = zraw.curve_keypair()
    env = as_environment(for_client(wrong, *zraw.curve_keypair()))
    with (
        pull.monitor("", REFUSALS) as refused,
        connected(pull, kind, "push", True, ["1"], env=env),
    ):
        event = zraw.recv_event(refused)
        assert event.event == zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
        assert event.value == zraw.ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
        assert pull.try_recv() is None


# ---- an old peer

SIGNATURE = b"\xff" + bytes(7) + b"\x01\x7f"


@only("jeromq")
def test_interop_peers__old_one_speaks_zmtp_2_0():
    """What the tests below rely on."""
    with (
        Peer(JEROMQ, ["pull", "bind", TCP, "300"]) as peer,
        raw_peer(peer.wait_for("bound")) as raw,
    ):
        raw.sendall(SIGNATURE + b"\x01\x08\x00\x00")  # revision, PUSH, identity
        assert read(raw, 14) == SIGNATURE + b"\x01\x07\x00\x00"  # a PULL
        raw.sendall(b"\x02" + (300).to_bytes(8, "big") + body(300))
        assert peer.finish() == ["300"]


@only("jeromq")
@binding
def test_heartbeat_ivl__old_peer_is_sent_none(sock, binds):
    """It would take them for messages, and be given up for its silence."""
    heartbeats = {"HEARTBEAT_IVL": 10, "HEARTBEAT_TIMEOUT": 20}
    request = sock(zraw.ZMQ_REQ, **heartbeats)
    with (
        request.monitor("", zraw.ZMQ_EVENT_DISCONNECTED) as losses,
        connected(request, JEROMQ, "rep", binds, ["1", "2"]) as peer,
    ):
        request.send(body(1))
        assert request.recv() == body(1)
        assert not losses.poll(100)  # five times as long as an answer may take
        request.send(body(2))
        assert request.recv() == body(2)
        assert peer.finish() == ["1", "2"]


@only("jeromq")
@needs_curve
def test_curve__old_peer_stays_out(sock):
    pull = sock(zraw.ZMQ_PULL, **for_server(zraw.curve_keypair()[1]))
    with (
        pull.monitor("", REFUSALS | zraw.ZMQ_EVENT_DISCONNECTED) as refused,
        connected(pull, JEROMQ, "push", True, ["1"]),
    ):
        assert zraw.recv_event(refused).event == zraw.ZMQ_EVENT_DISCONNECTED
        assert pull.try_recv() is None


# ---- certificates


def by_czmq(*args):
    """Run czmq's program; return the certificate that it prints."""
    command = [*CZMQ.command(), *map(str, args)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    name, public, secret = done.stdout.splitlines()
    return certificates.Certificate(public, secret, {"name": name})


PUBLIC = f"    public-key = {'0' * 40}\n"


def mode(path):
    return path.stat().st_mode & 0o777


@only("czmq")
@needs_curve
def test_certificates__of_czmq_are_read(tmp_path):
    made = by_czmq("certificate-new", tmp_path / "peer", "a peer's, # 1")
    assert made.meta == {"name": "a peer's, # 1"}
    assert certificates.load(tmp_path / "peer") == made
    (tmp_path / "peer_secret").unlink()
    public = certificates.Certificate(made.public, None, made.meta)
    assert certificates.load(tmp_path / "peer") == public


@only("czmq")
@needs_curve
def test_certificates__are_read_by_czmq(tmp_path):
    made = certificates.Certificate.new(name="zraw's, # 1")
    certificates.save(made, tmp_path / "peer")
    assert by_czmq("certificate-show", tmp_path / "peer") == made


@needs_curve
def test_certificates__of_pyzmq_are_read(tmp_path):
    meta = {"name": "a peer's"}
    public, secret = zmq.auth.create_certificates(tmp_path, "peer", metadata=meta)
    keys = [key.decode() for key in zmq.auth.load_certificate(secret)]
    assert certificates.load(public) == certificates.Certificate(*keys, meta)
    assert certificates.load(tmp_path / "peer.key") == certificates.load(secret)


@needs_curve
def test_certificates__are_read_by_pyzmq(tmp_path):
    made = certificates.Certificate.new(name="zraw's")
    certificates.save(made, tmp_path / "peer")
    keys = (made.public.encode(), made.secret.encode())
    assert zmq.auth.load_certificate(tmp_path / "peer") == (keys[0], None)
    assert zmq.auth.load_certificate(tmp_path / "peer_secret") == keys


@needs_curve
def test_certificates__secret_is_the_owners_and_is_not_overwritten(tmp_path):
    path, secret = tmp_path / "peer", tmp_path / "peer_secret"
    mask = os.umask(0)
    try:
        certificates.save(certificates.Certificate.new(), path)
    finally:
        os.umask(mask)
    assert (mode(path), mode(secret)) == (0o644, 0o600)
    before = secret.read_bytes()
    path.unlink()
    with pytest.raises(FileExistsError, match="peer_secret"):
        certificates.save(certificates.Certificate.new(), path)
    assert secret.read_bytes() == before
    assert not path.exists()


@needs_curve
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "no public key"),
        ("curve\n", "no public key"),
        ('curve\n    public-key = "short"\n', "40 characters of Z85"),
        (f'curve\n    public-key = "{"~" * 40}"\n', "40 characters of Z85"),
        (f"curve\n    secret-key = {'0' * 40}\n", "no public key"),
        (f"curve\n{PUBLIC}    secret-key = {'0' * 40}\n", "does not belong"),
        ("curve\n  public-key = x\n", "line 2 is no ZPL"),
        ("curve\n        public-key = x\n", "line 2 is no ZPL"),
        ('curve\n    public-key = "x\n', "line 2 is no ZPL"),
    ],
)
def test_certificates__broken_ones_are_refused(tmp_path, text, error):
    (tmp_path / "peer").write_text(text)
    with pytest.raises(ValueError, match=error):
        certificates.load(tmp_path / "peer")


def served_by_czmq(folder):
    """The environment of a server of czmq's, and the options of a client of zraw's.

    The server's certificate is made by zraw, and the client's by czmq.
    """
    server = certificates.Certificate.new()
    certificates.save(server, folder / "server")
    by_czmq("certificate-new", folder / "client", "a client")
    (folder / "clients").mkdir()
    client = certificates.load(folder / "client")
    env = {
        "CURVE_CERTIFICATE": str(folder / "server"),
        "CURVE_FOLDER": str(folder / "clients"),
    }
    return env, for_client(server.public, client.public, client.secret)


@only("czmq")
@needs_curve
def test_certificates__zauth_lets_in_whose_it_has(tmp_path):
    env, options = served_by_czmq(tmp_path)
    shutil.copy(tmp_path / "client", tmp_path / "clients")
    talk(CZMQ, "req", False, FEW, options=options, env=env)


@only("czmq")
@needs_curve
def test_certificates__zauth_keeps_out_whose_it_has_not(sock, tmp_path):
    env, options = served_by_czmq(tmp_path)
    push = sock(zraw.ZMQ_PUSH, **options)
    with (
        push.monitor("", REFUSALS) as refused,
        connected(push, CZMQ, "pull", False, ["1"], env=env),
    ):
        event = zraw.recv_event(refused)
        assert event.event == zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
        assert event.value == 400  # the status of the ZAP reply
