"""Every transport, with zraw in another process, and other people's, as the peer."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import socket as sockets
import subprocess
import sys
from pathlib import Path

import pytest

import zraw
import zraw.sending
from interop_peers import KINDS, MESSAGES, ZRAW, frames, shape, talk

HERE = Path(__file__).parent
PEERS = [ZRAW, *(KINDS[name] for name in ("pyzmq", "pyomq", "zeromq.js", "czmq"))]
PEERS = [kind for kind in PEERS if not kind.missing()]
TRANSPORTS = {
    "tcp": "tcp://127.0.0.1:*",
    "tcp-ipv6": "tcp://[::1]:*",
    "ipc": "ipc://{folder}/s",
    "ipc-wildcard": "ipc://*",
    "ipc-abstract": "ipc://@{folder}",
    "ws": "ws://127.0.0.1:*",
    "ws-ipv6": "ws://[::1]:*",
}
# What some peers are built without, and what they cannot bind.
WITHOUT = {("pyzmq", "ws"), ("pyzmq", "ws-ipv6"), ("pyomq", "ws"), ("pyomq", "ws-ipv6")}
BINDS_NOT = {("pyomq", "tcp-ipv6")}


def missing(transport):
    """What a transport lacks here."""
    if transport.startswith("ws") and not zraw.has("WS"):
        return "a libzmq with WebSocket"
    if transport.endswith("ipv6"):
        try:
            with sockets.socket(sockets.AF_INET6) as socket:
                socket.bind(("::1", 0))
        except OSError:
            return "IPv6"
    return ""


def pairs():
    """Transports, peers, and whether we bind; one skip for a transport not here."""
    for transport in TRANSPORTS:
        if lack := missing(transport):
            mark = pytest.mark.skip(reason=f"{transport} is not here: {lack}")
            yield pytest.param(transport, ZRAW, True, id=transport, marks=mark)
            continue
        for kind in PEERS:
            for binds in (True, False):
                pair = (kind.name, transport)
                if pair in WITHOUT or (pair in BINDS_NOT and not binds):
                    continue
                names = (transport, kind.name, "connects" if binds else "binds")
                yield pytest.param(transport, kind, binds, id="-".join(names))


@pytest.mark.parametrize(("transport", "kind", "binds"), list(pairs()))
def test_interop_transports__messages_there_and_back(tmp_path, transport, kind, binds):
    where = TRANSPORTS[transport].format(folder=tmp_path)
    options = {"IPV6": 1} if transport.endswith("ipv6") else {}
    talk(kind, "req", binds, MESSAGES, where=where, options=options)


# ---- inproc: the peer is C, in the same context


class C:
    """A socket that C has opened in a context of zraw's."""

    def __init__(self, context, kind):
        self.libzmq = ctypes.CDLL(zraw.sending.__file__)
        self.libzmq.zmq_socket.restype = ctypes.c_void_p
        self.socket = ctypes.c_void_p(
            self.libzmq.zmq_socket(ctypes.c_void_p(context.handle), kind)
        )
        for option in (zraw.ZMQ_RCVTIMEO, zraw.ZMQ_SNDTIMEO):
            value = ctypes.c_int(5000)
            self("setsockopt", option, ctypes.byref(value), ctypes.sizeof(value))

    def __call__(self, name, *args):
        result = self.libzmq[f"zmq_{name}"](self.socket, *args)
        assert result >= 0, (name, args, zraw.errno())
        return result

    def send(self, parts):
        for number, part in enumerate(parts):
            more = zraw.ZMQ_SNDMORE if number + 1 < len(parts) else 0
            self("send", part, ctypes.c_size_t(len(part)), more)

    def recv(self):
        parts, more = [], ctypes.c_int(1)
        buffer = ctypes.create_string_buffer(1 << 20)
        while more.value:
            size = self("recv", buffer, ctypes.c_size_t(len(buffer)), 0)
            parts.append(buffer.raw[:size])
            room = ctypes.c_size_t(ctypes.sizeof(more))
            option = zraw.ZMQ_RCVMORE
            self("getsockopt", option, ctypes.byref(more), ctypes.byref(room))
        return parts


@pytest.mark.parametrize("binds", [True, False], ids=["binds", "connects"])
def test_interop_transports__inproc_with_c(ctx, sock, binds):
    ours, theirs = sock(zraw.ZMQ_PAIR), C(ctx, zraw.ZMQ_PAIR)
    try:
        if binds:
            theirs("connect", ours.bind("inproc://c").encode())
        else:
            theirs("bind", b"inproc://c")
            ours.connect("inproc://c")
        for message in MESSAGES:
            ours.send_multipart(frames(message))
            parts = theirs.recv()
            assert shape(parts) == message
            theirs.send(parts)
            assert shape(ours.recv_multipart()) == message
    finally:
        theirs("close")


# ---- multicast, which needs a network of its own: its ports are anybody's

MULTICAST = """
import fcntl, socket, struct, sys
sys.path.insert(0, sys.argv[1])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as up:
    lo = struct.pack("16sh14x", b"lo", 0x49)  # IFF_UP, IFF_LOOPBACK, IFF_RUNNING
    fcntl.ioctl(up, 0x8914, lo)  # SIOCSIFFLAGS
import interop_peers
kind = {**interop_peers.KINDS, "zraw": interop_peers.ZRAW}[sys.argv[2]]
where = "epgm://127.0.0.1;239.192.1.1:5557"
interop_peers.talk(
    kind, sys.argv[3], sys.argv[4] == "binds", interop_peers.MESSAGES,
    where=where, options={"RATE": 100000},
)
print("talked")
"""


@functools.cache
def apart():
    """Return the command that runs another one in a network of its own."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        with contextlib.suppress(OSError):
            run = [*command, "true"]
            if not subprocess.run(run, capture_output=True, check=False).returncode:
                return command
    return []


LACKS = [] if zraw.has("pgm") else ["a libzmq with OpenPGM"]
LACKS += [] if apart() else ["network namespaces (unshare -n)"]


def rounds():
    """Peers, our role, and whether we bind; one skip if there is no multicast here."""
    if LACKS:
        mark = pytest.mark.skip(reason=f"epgm is not here: {', '.join(LACKS)}")
        return [pytest.param("zraw", "pub", "binds", marks=mark)]
    names = ["zraw", *(["czmq"] if KINDS["czmq"] in PEERS else [])]
    return list(itertools.product(names, ("pub", "sub"), ("binds", "connects")))


@pytest.mark.parametrize(("name", "role", "binds"), rounds())
def test_interop_transports__epgm(name, role, binds):
    args = [str(HERE), name, role, binds]
    done = subprocess.run(
        [*apart(), sys.executable, "-X", "faulthandler", "-c", MULTICAST, *args],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=HERE,
        check=False,
    )
    # OpenPGM warns, where it should not, that lo is a loopback device.
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Warn: ")]
    assert (done.returncode, lines, done.stderr) == (0, ["talked"], "")
