"""Servers on tornado's and asyncio's loop, on a backend of pyzmq's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import urllib.request
from typing import Union

import zmq
import zmq.asyncio

from pyzmq_case import limited, main, raises

PORT = "tcp://127.0.0.1:*"
SECONDS = 20
LARGE = bytes(range(256)) * 4096


def endpoint(socket: zmq.Socket) -> str:
    """Bind to a port that nobody uses, and return where that is."""
    socket.linger = 0
    socket.bind(PORT)
    return socket.last_endpoint.decode()


def tornado_streams() -> None:
    """A ROUTER's ZMQStream serves clients in threads, and sends what is large."""
    import tornado.ioloop
    from zmq.eventloop.zmqstream import ZMQStream

    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    where = endpoint(router)
    sent, served = [], []

    async def serve() -> None:
        stream = ZMQStream(router)
        stream.on_send(lambda message, status: sent.append(len(message)))

        def answer(parts: list[bytes]) -> None:
            *envelope, body = parts
            served.append(body)
            stream.send_multipart([*envelope, body.upper(), LARGE], copy=False)

        stream.on_recv(answer)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, ask, n) for n in range(4)))
        stream.flush()
        stream.close()

    def ask(number: int) -> None:
        with limited(context.socket(zmq.REQ)) as request:
            request.connect(where)
            for i in range(50):
                request.send(f"client {number}, {i}".encode())
                answer = request.recv_multipart()
                assert answer == [f"CLIENT {number}, {i}".encode(), LARGE]

    loop = tornado.ioloop.IOLoop()
    loop.run_sync(serve, timeout=SECONDS)
    loop.close(all_fds=True)
    assert sorted(served) == sorted(
        f"client {n}, {i}".encode() for n in range(4) for i in range(50)
    )
    assert sent == [4] * 200, sent
    context.term()


def tornado_web() -> None:
    """A web server that hands requests on to a worker, and waits for its answers."""
    import tornado.httpserver
    import tornado.netutil
    import tornado.web

    context = zmq.asyncio.Context()
    plain = zmq.Context(context)

    def work(where: str) -> None:
        with limited(plain.socket(zmq.REP)) as reply:
            reply.connect(where)
            while (question := reply.recv_json()) is not None:
                reply.send_json({"square": question["number"] ** 2})
            reply.send_json(None)

    class Square(tornado.web.RequestHandler):
        async def get(self, number: str) -> None:
            async with lock:
                await request.send_json({"number": int(number)})
                self.write(await request.recv_json())

    def visit(port: int) -> list[dict[str, int]]:
        found = []
        for number in range(30):
            address = f"http://127.0.0.1:{port}/{number}"
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:
                found.append(json.load(answer))
        return found

    async def serve() -> None:
        nonlocal request, lock
        lock = asyncio.Lock()
        request = context.socket(zmq.REQ)
        worker = threading.Thread(target=work, args=(endpoint(request),))
        worker.start()
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(
            tornado.web.Application([(r"/(\d+)", Square)])
        )
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        visits = [asyncio.to_thread(visit, port) for _ in range(3)]
        for found in await asyncio.gather(*visits):
            assert found == [{"square": number**2} for number in range(30)]
        server.stop()
        await server.close_all_connections()
        await request.send_json(None)
        assert await request.recv_json() is None
        worker.join(SECONDS)
        request.close()

    request = lock = None
    asyncio.run(asyncio.wait_for(serve(), SECONDS))
    context.term()


def asyncio_server() -> None:
    """A ROUTER answers a hundred tasks; one is cancelled, one gives up in time."""

    async def serve(router: zmq.asyncio.Socket) -> None:
        while True:
            *envelope, body = await router.recv_multipart()
            if body != b"unanswered":
                await router.send_multipart([*envelope, body[::-1]])

    async def ask(where: str, number: int) -> bytes:
        with context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(where)
            for i in range(10):
                await dealer.send_multipart([b"", b"%d %d" % (number, i)])
            got = [(await dealer.recv_multipart())[1][::-1] for _ in range(10)]
            assert got == [b"%d %d" % (number, i) for i in range(10)], got
            return b"%d" % number

    async def run() -> None:
        router = context.socket(zmq.ROUTER)
        where = endpoint(router)
        server = asyncio.create_task(serve(router))
        found = await asyncio.gather(*(ask(where, n) for n in range(100)))
        assert found == [b"%d" % n for n in range(100)]

        with context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(where)
            await dealer.send(b"unanswered")
            late = dealer.recv()
            await asyncio.sleep(0)
            late.cancel()
            assert await dealer.poll(50) == 0
            try:
                await asyncio.wait_for(dealer.recv(), 0.05)
                raise AssertionError("answered")
            except asyncio.TimeoutError:
                pass
            await dealer.send(b"still here")
            assert await dealer.poll(10000) == zmq.POLLIN
            assert await dealer.recv() == b"ereh llits"
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
        router.close()

    context = zmq.asyncio.Context()
    asyncio.run(asyncio.wait_for(run(), SECONDS))
    context.term()


def ctrl_c() -> None:
    """Ctrl-C ends servers that wait, in time, and their sockets close."""
    from zmq.eventloop.zmqstream import ZMQStream

    async def serve() -> None:
        with context.socket(zmq.ROUTER) as router:
            endpoint(router)
            asyncio.get_running_loop().call_later(0.05, interrupt)
            await router.recv_multipart()

    async def stream() -> None:
        streamed = ZMQStream(context.socket(zmq.ROUTER, socket_class=zmq.Socket))
        streamed.on_recv(print)
        asyncio.get_running_loop().call_later(0.05, interrupt)
        try:
            await asyncio.Event().wait()
        finally:
            streamed.close()

    def wait() -> None:
        with context.socket(zmq.ROUTER, socket_class=zmq.Socket) as router:
            timer = threading.Timer(0.05, interrupt)
            timer.start()
            try:
                while not router.poll(1000):  # a signal just before it is seen after it
                    pass
            finally:
                timer.join()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    context = zmq.asyncio.Context()
    raises(KeyboardInterrupt, asyncio.run, serve())
    raises(KeyboardInterrupt, asyncio.run, stream())
    raises(KeyboardInterrupt, wait)
    context.term()


def on_uvloop() -> None:
    """The same on uvloop, whose reader of descriptors is another one."""
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio_server()
    asyncio_pubsub()


def asyncio_pubsub() -> None:
    """An XPUB that sees its subscribers, and a poller of tasks for all of them."""

    async def run() -> None:
        pub = context.socket(zmq.XPUB)
        where = endpoint(pub)
        subs = []
        for topic in (b"a", b"b", b""):
            sub = context.socket(zmq.SUB)
            sub.linger = 0
            sub.subscribe(topic)
            sub.connect(where)
            subs.append(sub)
        seen = sorted([await pub.recv() for _ in subs])
        assert seen == [b"\x01", b"\x01a", b"\x01b"], seen
        for body in (b"a1", b"b1", b"c1", b"a2"):
            await pub.send(body)
        poller = zmq.asyncio.Poller()
        for sub in subs:
            poller.register(sub, zmq.POLLIN)
        got: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
        while sum(map(len, got.values())) < 7:
            for sub, event in await poller.poll(10000):
                assert event == zmq.POLLIN
                got[subs.index(sub)].append(await sub.recv())
        assert got == {
            0: [b"a1", b"a2"],
            1: [b"b1"],
            2: [b"a1", b"b1", b"c1", b"a2"],
        }, got
        for socket in (*subs, pub):
            socket.close()

    context = zmq.asyncio.Context()
    asyncio.run(asyncio.wait_for(run(), SECONDS))
    context.term()


def msgspec_structs() -> None:
    """Structs over ROUTER and DEALER; frames that are decoded where they lie."""
    import msgspec

    class Add(msgspec.Struct, tag=True):
        terms: list[int]

    class Halve(msgspec.Struct, tag=True):
        number: int

    class Result(msgspec.Struct, tag=True):
        value: int

    class Refused(msgspec.Struct, tag=True):
        reason: str

    requests = msgspec.msgpack.Decoder(Union[Add, Halve])  # noqa: UP007
    results = msgspec.msgpack.Decoder(Union[Result, Refused])  # noqa: UP007
    encoder = msgspec.msgpack.Encoder()

    def reply(data: memoryview) -> Result | Refused:
        try:
            match requests.decode(data):
                case Add(terms):
                    return Result(sum(terms))
                case Halve(number) if number % 2 == 0:
                    return Result(number // 2)
                case Halve():
                    return Refused("odd")
        except msgspec.ValidationError as error:
            return Refused(str(error))

    def serve() -> None:
        for _ in range(4):
            client, frame = router.recv_multipart(copy=False)
            answer = encoder.encode(reply(frame.buffer))
            router.send_multipart([client.bytes, answer], copy=False)

    context = zmq.Context()
    router, dealer = limited(context.socket(zmq.ROUTER)), context.socket(zmq.DEALER)
    limited(dealer).connect(endpoint(router))
    server = threading.Thread(target=serve)
    server.start()
    got = []
    terms = list(range(100000))
    for request in (Add(terms), Halve(84), Halve(1), {"type": "Stop"}):
        dealer.send(encoder.encode(request), copy=False)
        got.append(results.decode(dealer.recv(copy=False).buffer))
    assert got == [
        Result(sum(terms)),
        Result(42),
        Refused("odd"),
        Refused("Invalid value 'Stop' - at `$.type`"),
    ], got
    server.join(SECONDS)
    raises(zmq.Again, dealer.recv, zmq.DONTWAIT)
    context.destroy()


if __name__ == "__main__":
    main(globals())
