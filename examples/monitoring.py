"""Monitoring: services collect, services process, and one of them crashes.

    python examples/monitoring.py

Three collectors push samples to a processor.  In production each service is a process,
and UNIX sockets connect them.  A supervisor starts again what dies: here the collector
"disk", which gets signal 9 in the midst of its work.  Nobody else notices, and what the
others have sent is complete.  (What "disk" had not yet handed over as it died is lost:
who cannot bear that asks for acknowledgements, as lazy_pirate.py does.)

    python examples/monitoring.py --crash nobody  # and kill -9 a collector yourself
    python examples/monitoring.py --in-process

The last one has the same services in one process, over inproc, as a test suite would:
they are given a context and an endpoint, and do not care.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections import Counter

import zraw
from zraw import aio

COLLECTORS = ["cpu", "disk", "net"]
END = b"end"

# ---- the services


async def collect(
    context: zraw.Context, endpoint: str, name: str, samples: int, crash: bool = False
) -> None:
    """Take samples, and hand them over to the processor, wherever it is."""
    async with aio.Push(context, connect=endpoint) as push:
        for number in range(samples):
            await push.send_multipart([name.encode(), str(number % 100).encode()])
            if crash and number == samples // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            await asyncio.sleep(0.001)
        await push.send_multipart([name.encode(), END])
    # Context.close() will wait until all is handed over: ZMQ_LINGER is -1, for ever.


async def process(
    context: zraw.Context, endpoint: str, collectors: int
) -> Counter[str]:
    """Count the samples, until all collectors have come to their end."""
    count: Counter[str] = Counter()
    async with aio.Pull(context, bind=endpoint) as pull:
        while collectors:
            name, sample = await pull.recv_multipart()
            if sample == END:
                collectors -= 1
            else:
                count[name.decode()] += 1
    return count


async def run_in_process(context: zraw.Context, samples: int) -> Counter[str]:
    """Run all of them here."""
    where = "inproc://samples"
    collecting = [collect(context, where, name, samples) for name in COLLECTORS]
    count, _ = await asyncio.gather(
        process(context, where, len(COLLECTORS)), asyncio.gather(*collecting)
    )
    return count


# ---- each in a process of its own


async def supervise(name: str, *args: str, first: tuple[str, ...] = ()) -> None:
    """Run a service, and again as often as it dies.

    first: more arguments, for the first time.
    """
    while True:
        service = await asyncio.create_subprocess_exec(
            sys.executable, __file__, *args, *first
        )
        print(f"{name}: process {service.pid}", flush=True)
        try:
            code = await service.wait()
        except asyncio.CancelledError:
            service.kill()
            await service.wait()
            raise
        if code == 0:
            return
        print(f"{name}: ended with {code}, is restarted", flush=True)
        await asyncio.sleep(0.1)  # so that what cannot start does not keep us busy
        first = ()


async def supervise_all(samples: int, crash: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        common = [f"--endpoint=ipc://{folder}/samples", f"--samples={samples}"]
        services = [supervise("processor", "process", *common)]
        for name in COLLECTORS:
            args = ["collect", f"--name={name}", *common]
            services.append(supervise(name, *args, first=(f"--crash={crash}",)))
        tasks = [asyncio.create_task(service) for service in services]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()  # once: it takes a moment until its process has ended
            await asyncio.wait(tasks)
        await asyncio.gather(*tasks)  # raises what one has raised


def main() -> None:
    parser = argparse.ArgumentParser(description="Collect samples, and process them.")
    roles = ["supervise", "collect", "process"]
    parser.add_argument("role", nargs="?", default="supervise", choices=roles)
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--crash", metavar="NAME", help="of a collector, or nobody")
    parser.add_argument("--samples", metavar="N", type=int, default=200)
    parser.add_argument("--name", default=COLLECTORS[0], help="of this collector")
    parser.add_argument("--endpoint", default="ipc:///tmp/zraw-samples")
    args = parser.parse_args()
    with zraw.Context() as context:
        if args.role == "collect":
            crash = args.crash == args.name
            asyncio.run(collect(context, args.endpoint, args.name, args.samples, crash))
        elif args.role == "supervise" and not args.in_process:
            asyncio.run(supervise_all(args.samples, args.crash or "disk"))
        else:
            if args.in_process:
                count = asyncio.run(run_in_process(context, args.samples))
            else:
                count = asyncio.run(process(context, args.endpoint, len(COLLECTORS)))
            for name, samples in sorted(count.items()):
                print(f"{name}: {samples} samples", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
