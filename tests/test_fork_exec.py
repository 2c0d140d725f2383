"""Programs started by a program that has sockets: they inherit nothing of them."""

from __future__ import annotations

import sys
import threading

import pytest

import zraw
from programs import check

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the tests read /proc/self/fd"
)

# Whatever libzmq opens descriptors for, once.
OPEN = """
import subprocess, tempfile

folder = tempfile.TemporaryDirectory()
curve = context.socket(zraw.ZMQ_REP)
curve.setsockopt(zraw.ZMQ_CURVE_SERVER, True)
curve.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, zraw.curve_keypair()[1])
curve.bind("tcp://127.0.0.1:*")
where = pull.bind("tcp://127.0.0.1:*")
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
local = pull.bind(f"ipc://{folder.name}/s")
pull.bind("inproc://x")
reader = pull.monitor()
reader.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
for endpoint in (where, local, "inproc://x"):
    push.connect(endpoint)
for _ in range(3):
    push.send(b"x" * 100000)  # pinned: the release thread is there, too
    pull.recv()
poller = zraw.Poller()
poller.add(pull)
# Prints one more, which it has open to read the list.
LIST = "import os, sys; print(*os.listdir('/proc/self/fd')); sys.stdout.flush()"

def still_works():
    for endpoint in (where, local, "inproc://x"):
        push.send(b"after")
    assert [pull.recv() for _ in range(3)] == [b"after"] * 3
"""

WAYS = {
    "subprocess": """
output = subprocess.run([sys.executable, "-c", LIST], close_fds=False, check=True,
                        stdout=subprocess.PIPE, text=True).stdout
""",
    "subprocess with preexec_fn": """
output = subprocess.run([sys.executable, "-c", LIST], close_fds=False, check=True,
                        preexec_fn=lambda: refused(zraw.ForkError, [pull.recv]),
                        stdout=subprocess.PIPE, text=True).stdout
""",
    "system": """
with os.popen(f'{sys.executable} -c "{LIST}"') as file:
    output = file.read()
""",
    "fork and exec": """
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.dup2(w, 1)
    os.execv(sys.executable, [sys.executable, "-c", LIST])
os.close(w)
with open(r) as file:
    output = file.read()
assert os.waitpid(pid, 0) == (pid, 0)
""",
    "posix_spawn": """
r, w = os.pipe()
pid = os.posix_spawn(sys.executable, [sys.executable, "-c", LIST], os.environ,
                     file_actions=[(os.POSIX_SPAWN_DUP2, w, 1)])
os.close(w)
with open(r) as file:
    output = file.read()
assert os.waitpid(pid, 0) == (pid, 0)
""",
}


@pytest.mark.parametrize("way", WAYS)
def test_exec__no_descriptor_is_inherited_and_the_parent_goes_on(way):
    check(
        OPEN
        + WAYS[way]
        + """
assert len(output.split()) == 4, output
still_works()
reader.close()
poller.destroy()
context.close()
folder.cleanup()
"""
    )


def test_exec__replaces_the_program_and_its_peers_see_it_go(sock, tmp_path):
    """No close(), no exit handler: the kernel closes what libzmq had open."""
    pull = sock(zraw.ZMQ_PULL, RCVTIMEO=10000)
    where = pull.bind("tcp://127.0.0.1:*")
    with pull.monitor() as reader:
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
        done = check(
            OPEN
            + """
push.setsockopt(zraw.ZMQ_LINGER, -1)
other = context.socket(zraw.ZMQ_PUSH)
other.connect(sys.argv[1])
other.send(b"before")
answer = context.socket(zraw.ZMQ_PULL)
answer.connect(sys.argv[2])
assert answer.recv() == b"arrived"
threading.Thread(target=answer.recv, daemon=True).start()
until(lambda: inside(answer))
os.execv(sys.executable, [sys.executable, "-c", LIST + '''
import socket, sys
host, port = sys.argv[1][6:].rsplit(":", 1)
with socket.socket() as again:
    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    again.bind((host, int(port)))
    again.listen()
''', where])
""",
            where,
            answering(sock, pull, tmp_path),
        )
        while zraw.recv_event(reader).event != zraw.ZMQ_EVENT_DISCONNECTED:
            pass
    assert len(done.out.split()) == 4, done
    assert pull.poll(0) == 0


def answering(sock, pull, folder):
    """Where b"arrived" comes from, once `pull` has received b"before"."""
    push = sock(zraw.ZMQ_PUSH, SNDTIMEO=20000)
    where = push.bind(f"ipc://{folder}/answer")

    def answer():
        assert pull.recv() == b"before"
        push.send(b"arrived")

    threading.Thread(target=answer, daemon=True).start()
    return where


def test_exec__port_is_free_while_the_started_program_lives():
    check(
        OPEN
        + """
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
reader.close()
pull.close()
pull = context.socket(zraw.ZMQ_PULL)
def bound():
    try:
        pull.bind(where)
    except zraw.AddressInUse:  # libzmq closes the old one in its own time
        return False
    return True
until(bound)
assert child.poll() is None
child.communicate()
assert child.returncode == 0
poller.destroy()
context.close()
folder.cleanup()
"""
    )


def test_fork__child_keeps_the_port_until_it_ends_or_execs():
    """What nothing above libzmq can prevent; exec, and the end, free it."""
    check(
        OPEN
        + """
go, stop = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    os.close(stop[1])
    os.read(go[0], 1)
    # dup2: it is to outlive exec.
    os.dup2(stop[0], 0)
    os.execv("/bin/cat", ["cat"])
os.close(stop[0])
reader.close()
pull.close()
pull = context.socket(zraw.ZMQ_PULL)
pull.setsockopt(zraw.ZMQ_LINGER, 0)
gone = time.monotonic() + 0.3
while time.monotonic() < gone:
    refused(zraw.AddressInUse, [lambda: pull.bind(where)])
os.write(go[1], b"x")
def bound():
    try:
        pull.bind(where)
    except zraw.AddressInUse:
        return False
    return True
until(bound)
assert os.waitpid(pid, os.WNOHANG) == (0, 0)
os.close(stop[1])
assert os.waitpid(pid, 0) == (pid, 0)
poller.destroy()
context.close()
folder.cleanup()
"""
    )
