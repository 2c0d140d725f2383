"""Sockets on an event loop: asyncio with its relatives, uvloop among them, and trio.

    async with Reply(context, bind="tcp://127.0.0.1:5555") as reply:
        async for question in reply:
            await reply.send(answer(question))

Handle takes any socket; the other classes make theirs.  A message is either returned
or still in the queue, whatever is cancelled when.  docs/aio.md explains the model.
"""

from zraw.aio.handle import Handle
from zraw.aio.patterns import Dealer, Pair, Pull, Push, Router
from zraw.aio.pubsub import Publish, Subscribe, XPublish, XSubscribe
from zraw.aio.readable import Readable
from zraw.aio.reqrep import Reply, Request
from zraw.aio.watcher import Watcher, io, probe
from zraw.aio.writable import Unsent, Writable

__all__ = [
    "Dealer",
    "Handle",
    "Pair",
    "Publish",
    "Pull",
    "Push",
    "Readable",
    "Reply",
    "Request",
    "Router",
    "Subscribe",
    "Unsent",
    "Watcher",
    "Writable",
    "XPublish",
    "XSubscribe",
    "io",
    "probe",
]
