"""A durable subscriber: it dies, and gets its messages when it comes back.

    python examples/durable_subscriber.py

The subscriber binds and the publisher connects: that is all.  Who connects keeps the
queue of a connection that is lost, with the subscriptions, and goes on filling it.

How far that holds, which the program shows as well:

- The queue has room for ZMQ_SNDHWM messages (here 10, by default 1000).  What comes
  beyond is dropped; with ZMQ_XPUB_NODROP the publisher waits instead.
- The queue is in the publisher's memory: one that is killed loses it.
- What was on its way as the subscriber died is lost, and so is what is published
  before the publisher has noticed.

The program starts both as processes of their own; each can be started alone, too:

    python examples/durable_subscriber.py subscriber ipc:///tmp/durable
    python examples/durable_subscriber.py publisher ipc:///tmp/durable  # type: 3
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import zraw

HWM = 10


def subscribe(endpoint: str) -> None:
    """Print what is published, for ever."""
    with zraw.Context() as context:
        subscriber = context.socket(zraw.ZMQ_SUB)
        subscriber.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        subscriber.bind(endpoint)
        while True:
            print(subscriber.recv().decode(), flush=True)


def publish(endpoint: str, number: int) -> None:
    """Publish numbers: as many as each line of standard input says.

    The line "gone" waits until the subscriber is gone; "wait" publishes a number when
    there is room for it, rather than drop it.
    """
    with zraw.Context() as context:
        publisher = context.socket(zraw.ZMQ_XPUB)
        publisher.setsockopt(zraw.ZMQ_SNDHWM, HWM)
        publisher.setsockopt(zraw.ZMQ_LINGER, 0)  # the end of this one loses the queue
        monitor = publisher.monitor(events=zraw.ZMQ_EVENT_DISCONNECTED)
        publisher.connect(endpoint)
        publisher.recv()  # the subscription: before, there is nobody to queue for
        print("subscribed", flush=True)
        for line in sys.stdin:
            command = line.strip()
            if command == "gone":
                zraw.recv_event(monitor)
            else:
                publisher.setsockopt(zraw.ZMQ_XPUB_NODROP, command == "wait")
                for _ in range(1 if command == "wait" else int(command)):
                    publisher.send(str(number).encode())
                    number += 1
            print("done", flush=True)


class Program:
    """One of the two, as a process of its own."""

    def __init__(self, *args: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        """Wait for a line of its output."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args}: ended")
        return line.strip()

    def hear_until(self, number: int) -> list[int]:
        """Wait for numbers until this one comes."""
        numbers = [int(self.hear())]
        while numbers[-1] != number:
            numbers.append(int(self.hear()))
        return numbers

    def tell(self, command: str) -> None:
        """Give it a line of input, and wait until it has done what that says."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self.hear()

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()
        self._process.communicate()


def tell_story(endpoint: str) -> None:
    with contextlib.ExitStack() as programs:

        def start(*args: str) -> Program:
            program = Program(*args)
            programs.callback(program.kill)
            return program

        subscriber = start("subscriber", endpoint)
        publisher = start("publisher", endpoint)
        publisher.hear()
        publisher.tell("3")
        show("the subscriber is there", 3, subscriber.hear_until(3))

        subscriber.kill()
        publisher.tell("gone")
        publisher.tell("3")  # 4 to 6
        subscriber = start("subscriber", endpoint)
        show("it was killed, and is back", 3, subscriber.hear_until(6))

        subscriber.kill()
        publisher.tell("gone")
        publisher.tell("100")  # 7 to 106
        subscriber = start("subscriber", endpoint)
        publisher.tell("wait")  # 107
        numbers = subscriber.hear_until(107)
        show(f"there was room for {HWM} while it was away", 100, numbers[:-1])

        subscriber.kill()
        publisher.tell("gone")
        publisher.tell("3")  # 108 to 110
        publisher.kill()
        subscriber = start("subscriber", endpoint)
        publisher = start("publisher", endpoint, "--from", "111")
        publisher.hear()
        publisher.tell("1")
        numbers = subscriber.hear_until(111)
        show("the publisher was killed as well", 3, numbers[:-1])


def show(what: str, published: int, numbers: list[int]) -> None:
    received = " ".join(map(str, numbers)) or "none"
    print(f"{what}: {published} published, received: {received}", flush=True)


@contextlib.contextmanager
def own_endpoint() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"ipc://{folder}/durable"


def main() -> None:
    parser = argparse.ArgumentParser(description="A subscriber that dies, and is back.")
    parser.add_argument(
        "role", nargs="?", default="story", choices=["story", "publisher", "subscriber"]
    )
    parser.add_argument("endpoint", nargs="?")
    parser.add_argument("--from", metavar="N", dest="first", type=int, default=1)
    args = parser.parse_args()
    if args.role == "story":
        with own_endpoint() as endpoint:
            tell_story(args.endpoint or endpoint)
    elif args.role == "publisher":
        publish(args.endpoint, args.first)
    else:
        subscribe(args.endpoint)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
