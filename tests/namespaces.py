"""Machines and a network that can be broken: Linux namespaces, joined by a bridge.

    with Network("client", "server") as net:
        net["client"].cut()  # and whatever else; heal() mends it

A host is a namespace whose eth0 ends at a switch, a namespace of its own.  A guardian,
which outlives the process, removes all of them and kills who runs there: when the
`with` ends, and also when this process was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import heapq
import itertools
import json
import os
import random
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
TUN = Path("/dev/net/tun")
NUMBERS = itertools.count()

# Reads until the pipe ends; what it removes has names that begin with $1.
GUARDIAN = """
read line
for name in $(ip netns list | cut -d' ' -f1 | grep "^$1"); do
    kill -9 $(ip netns pids "$name") 2> /dev/null
    ip netns del "$name"
done
"""
# Faults are rules of the switch, which stands between any two hosts.
SWITCH = "add table bridge faults; add chain bridge faults forward \
{ type filter hook forward priority 0; }"
# Only a host itself can refuse a connection.
HOST = "add table inet faults; \
add chain inet faults input { type filter hook input priority 0; }; \
add chain inet faults output { type filter hook output priority 0; }"


def run(*command: str) -> str:
    """Run a command that must end well, and return what it says."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Host:
    """A namespace with an address of its own.

    The faults are of its link to the switch, so of all its connections.
    """

    def __init__(self, net: Network, name: str, number: int) -> None:
        self.net = net
        self.name = name
        self.namespace = f"{net.prefix}{name}"
        self.address = f"10.0.0.{number}"
        self.port = f"to-{name}"  # at the switch
        run("ip", "netns", "add", self.namespace)
        run(
            *f"ip link add eth0 netns {self.namespace} type veth".split(),
            *f"peer name {self.port} netns {net.switch}".split(),
        )
        run(*f"ip -n {net.switch} link set {self.port} master bridge up".split())
        self.ip(f"addr add {self.address}/24 dev eth0")
        self.ip("link set lo up")
        self.ip("link set eth0 up")
        self.nft(HOST)

    def ip(self, what: str) -> str:
        return run("ip", "-n", self.namespace, *what.split())

    def nft(self, rules: str) -> str:
        return run("ip", "netns", "exec", self.namespace, "nft", rules)

    def command(self, *args: str) -> list[str]:
        """The command that runs Python on this host."""
        prefix = ["ip", "netns", "exec", self.namespace]
        return [*prefix, sys.executable, "-X", "faulthandler", *args]

    def cut(self) -> None:
        """Let nothing through, in silence."""
        self.net.rules(f"iifname {self.port} drop", f"oifname {self.port} drop")

    def lose(self, percent: int) -> None:
        """Lose so many of a hundred packets, each way."""
        rest = f"ether type ip numgen random mod 100 < {percent} drop"
        self.net.rules(f"iifname {self.port} {rest}", f"oifname {self.port} {rest}")

    def reset(self) -> None:
        """Answer whatever comes and goes with a TCP reset."""
        for chain in ("input", "output"):
            self.nft(
                f"add rule inet faults {chain} tcp flags ! rst reject with tcp reset"
            )

    def kill_connections(self) -> int:
        """Have the kernel close all connections; return how many there were."""
        return len(self.ss("-KHt").splitlines())

    def connections(self) -> int:
        return len(self.ss("-Ht").splitlines())

    def ss(self, flags: str) -> str:
        return run(
            *f"ip netns exec {self.namespace} ss {flags} state established".split()
        )

    def unplug(self) -> None:
        """Pull the cable at the switch: the host sees that the carrier is gone."""
        run(*f"ip -n {self.net.switch} link set {self.port} down".split())

    def down(self) -> None:
        """Switch the interface off, which takes its routes away."""
        self.ip("link set eth0 down")

    def heal(self) -> None:
        """Take this host's own faults back."""
        run(*f"ip -n {self.net.switch} link set {self.port} up".split())
        self.ip("link set eth0 up")
        self.nft("flush chain inet faults input; flush chain inet faults output")


class Network:
    """Hosts, a switch that joins them, and the guardian of both."""

    def __init__(self, *names: str) -> None:
        self.prefix = f"zraw-{os.getpid()}-{next(NUMBERS)}-"
        self.switch = f"{self.prefix}switch"
        self.hosts: dict[str, Host] = {}
        # In a session of its own, lest Ctrl-C takes it, too.
        self.guardian = subprocess.Popen(
            ["sh", "-c", GUARDIAN, "guardian", self.prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            run("ip", "netns", "add", self.switch)
            run(*f"ip -n {self.switch} link add bridge type bridge".split())
            run(*f"ip -n {self.switch} link set bridge up".split())
            self.nft(SWITCH)
            for number, name in enumerate(names, 1):
                self.hosts[name] = Host(self, name, number)
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def nft(self, rules: str) -> str:
        return run("ip", "netns", "exec", self.switch, "nft", rules)

    def rules(self, *rules: str) -> None:
        self.nft("; ".join(f"add rule bridge faults forward {rule}" for rule in rules))

    def heal(self) -> None:
        """Take back every fault."""
        self.nft("flush chain bridge faults forward")
        for host in self.hosts.values():
            host.heal()

    def close(self) -> None:
        """Kill who runs on the hosts, and remove them."""
        self.guardian.communicate(b"over\n", timeout=30)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def namespaces(prefix: str) -> list[str]:
    """The names of the namespaces that begin so."""
    names = [line.split()[0] for line in run("ip", "netns", "list").splitlines()]
    return [name for name in names if name.startswith(prefix)]


@functools.cache
def why_not() -> str:
    """Why this machine cannot have such networks; empty if it can."""
    try:
        with Network("a", "b") as net:
            net["a"].lose(20)
            net["a"].cut()
            net["a"].reset()
            net["a"].kill_connections()
            with Slow(net["a"], net["b"]):
                pass
    except (OSError, AssertionError, subprocess.SubprocessError) as error:
        return f"no networks of namespaces here: {error}"
    return ""


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for what programs have to be asked about, which costs something."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Program:
    """A Python program on a host: commands to its stdin, a line of JSON for each."""

    def __init__(self, host: Host, *args: str) -> None:
        self.rest = b""
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            host.command(*args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=TESTS,  # where no zraw folder hides the installed one
        )
        try:
            self.started: dict[str, Any] = self.read()
        except BaseException:
            self.kill()
            raise

    def read(self, seconds: float = 20) -> Any:
        """Read a line of JSON."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([pipe], [], [], left)[0], "no answer"
            more = os.read(pipe, 1 << 20)
            assert more, f"it ended: {self.process.wait(10)}, {self.said()}"
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def said(self) -> str:
        """What it has said on its standard error."""
        self.errors.seek(0)
        return self.errors.read().decode()

    def ask(self, command: str) -> Any:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # read() has more to say of it
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        """Have it end, which it must do well and silently."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        said = self.said()
        self.kill()
        assert (code, said) == (0, "")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self.end()
        else:
            self.kill()


class Slow(Program):
    """A second link between two hosts, whose packets arrive late, or not at all.

    delay, jitter: milliseconds, each way.
    first, second: the addresses of the hosts on this link.
    """

    first, second = "10.1.0.1", "10.1.0.2"

    def __init__(
        self, one: Host, other: Host, delay: float = 0, jitter: float = 0, loss: int = 0
    ) -> None:
        if not TUN.exists():
            TUN.parent.mkdir(exist_ok=True)
            os.mknod(TUN, 0o20600, os.makedev(10, 200))
        names = one.namespace, other.namespace
        super().__init__(one, __file__, *names, *map(str, (delay, jitter, loss)))


def open_tun(namespace: str, name: str) -> int:
    """Make a tun device in a namespace, and stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns()")
    tun = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), 0x1001)  # IFF_TUN | IFF_NO_PI
    fcntl.ioctl(tun, 0x400454CA, request)  # TUNSETIFF
    return tun


def forward(tuns: list[int], delay: float, jitter: float, loss: float) -> None:
    """Hand each packet to the other device, late, or never; until stdin ends."""
    rng = random.Random(1)
    order = itertools.count()
    late: list[tuple[float, int, int, bytes]] = []
    other = {tuns[0]: tuns[1], tuns[1]: tuns[0]}
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else 1.0
        ready = select.select([*tuns, 0], [], [], wait)[0]
        if 0 in ready:
            return
        for tun in ready:
            with contextlib.suppress(BlockingIOError):
                packet = os.read(tun, 65536)
                if rng.random() >= loss / 100:
                    due = time.monotonic() + (delay + rng.random() * jitter) / 1000
                    heapq.heappush(late, (due, next(order), other[tun], packet))
        while late and late[0][0] <= time.monotonic():
            _, _, tun, packet = heapq.heappop(late)
            with contextlib.suppress(OSError):  # full, or down: lost, as on any link
                os.write(tun, packet)


def main() -> None:
    """The program of a slow link: two namespaces, delay, jitter, loss."""
    names, figures = sys.argv[1:3], map(float, sys.argv[3:])
    tuns = []
    addresses = Slow.first, Slow.second
    for name, own, peer in zip(names, addresses, addresses[::-1], strict=True):
        tuns.append(open_tun(name, "slow"))
        run(*f"ip -n {name} addr add {own} peer {peer} dev slow".split())
        run(*f"ip -n {name} link set slow up".split())
    print("{}", flush=True)
    forward(tuns, *figures)


@contextlib.contextmanager
def network_or_skip(*names: str) -> Iterator[Network]:
    """A Network for a fixture, which skips where there can be none."""
    import pytest

    if reason := why_not():
        pytest.skip(reason)
    with Network(*names) as net:
        yield net


if __name__ == "__main__":
    main()
