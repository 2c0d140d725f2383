"""zraw.aio: how handles are made, and what they have."""

from __future__ import annotations

import inspect

import pytest

import zraw
from aio_tools import (
    Boom,
    Errors,
    handles,
    last_endpoint,
    nothing_logged,  # noqa: F401 - a fixture
    until,
)
from zraw import aio

# The socket of each class, and the arguments of its own.
CLASSES = {
    aio.Dealer: zraw.ZMQ_DEALER,
    aio.Pair: zraw.ZMQ_PAIR,
    aio.Publish: zraw.ZMQ_PUB,
    aio.Pull: zraw.ZMQ_PULL,
    aio.Push: zraw.ZMQ_PUSH,
    aio.Reply: zraw.ZMQ_REP,
    aio.Request: zraw.ZMQ_REQ,
    aio.Router: zraw.ZMQ_ROUTER,
    aio.Subscribe: zraw.ZMQ_SUB,
    aio.XPublish: zraw.ZMQ_XPUB,
    aio.XSubscribe: zraw.ZMQ_XSUB,
}
RECEIVES = {aio.Pull, aio.Subscribe}
SENDS = {aio.Push, aio.Publish}
BOTH = {
    aio.Dealer,
    aio.Pair,
    aio.Reply,
    aio.Router,
    aio.XPublish,
    aio.XSubscribe,
    aio.Handle,
}
READING = ["recv", "recv_multipart", "recv_msg", "recv_many", "push_read", "on_read"]
WRITING = ["send", "send_multipart", "push_write", "drain", "on_drain"]

classes = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def close(*closing):
    for handle in closing:
        handle.close(0)


# ---- what there is


def test_all__is_what_there_is():
    assert set(aio.__all__) == {
        *(cls.__name__ for cls in (*CLASSES, aio.Handle, aio.Readable, aio.Writable)),
        "Unsent",
        "Watcher",
        "io",
        "probe",
    }
    for name in aio.__all__:
        assert inspect.getdoc(getattr(aio, name))


@pytest.mark.parametrize("cls", [*CLASSES, aio.Handle], ids=lambda cls: cls.__name__)
def test_roles__who_receives_and_who_sends(cls):
    assert issubclass(cls, aio.Readable) == (cls in RECEIVES | BOTH)
    assert issubclass(cls, aio.Writable) == (cls in SENDS | BOTH)
    for name in (*READING, "__aiter__", "__anext__"):
        assert hasattr(cls, name) == (cls in RECEIVES | BOTH)
    for name in WRITING:
        assert hasattr(cls, name) == (cls in SENDS | BOTH)


@classes
def test_new__makes_its_socket(ctx, cls):
    handle = cls(ctx)
    assert ctx.sockets == [handle.socket]
    assert isinstance(handle.socket, zraw.Socket)
    assert handle.socket.type == CLASSES[cls]
    assert not handle.closed
    assert handle.on_error is None
    assert cls.__name__ in repr(handle)
    assert "closed" not in repr(handle)
    handle.close()
    assert handle.closed
    assert handle.socket.closed
    assert "closed" in repr(handle)
    assert ctx.sockets == []


@classes
def test_new__one_endpoint_or_many(ctx, cls):
    other = ctx.socket(zraw.ZMQ_PAIR)
    for bind in (
        "inproc://one",
        b"inproc://bytes",
        ["inproc://a", b"inproc://b"],
        ("inproc://c",),
        (f"inproc://{n}" for n in range(2)),
        set(),
        [],
    ):
        handle = cls(ctx, bind=bind, connect="inproc://later")
        close(handle)
    handle = cls(ctx, bind="tcp://127.0.0.1:*", connect=["inproc://x", "inproc://y"])
    where = last_endpoint(handle)
    handle.unbind(bound := handle.bind("tcp://127.0.0.1:*"))
    assert bound.startswith("tcp://127.0.0.1:")
    assert bound != where
    for endpoint in ("inproc://x", "inproc://y"):
        handle.disconnect(endpoint)
        handle.connect(endpoint)
    close(handle, other)


@classes
def test_new__arguments_are_keywords(ctx, cls):
    with pytest.raises(TypeError):
        cls(ctx, "inproc://x")
    with pytest.raises(TypeError, match="nothing_such"):
        cls(ctx, nothing_such=1)
    for name in ("on_read", "on_drain"):
        if not hasattr(cls, name):
            with pytest.raises(TypeError, match=name):
                cls(ctx, **{name: print})
    assert ctx.sockets == []


@classes
def test_new__options_come_first_and_identity_before_connect(ctx, cls):
    """Both count only for connections that are made afterwards."""
    options = {zraw.ZMQ_SNDHWM: 7, zraw.ZMQ_RCVHWM: 8, zraw.ZMQ_IMMEDIATE: 1}
    handle = cls(ctx, options=options, identity=b"me", connect="tcp://127.0.0.1:1")
    for option, value in options.items():
        assert handle.socket.getsockopt(option) == value
    assert handle.identity == b"me"
    handle.identity = bytearray(b"other")
    assert handle.identity == b"other"
    assert handle.socket.getsockopt(zraw.ZMQ_ROUTING_ID) == b"other"
    close(handle)


def test_new__options_may_change_what_the_class_has_set(ctx):
    request = aio.Request(ctx, options={zraw.ZMQ_REQ_RELAXED: 0})
    close(request)


def test_identity__is_what_a_router_sees(on_loop, ctx):
    async def main():
        async with aio.Router(ctx, bind="inproc://router") as router:
            for name, connect in (
                (b"1", "inproc://router"),
                (b"2", [b"inproc://router"]),
            ):
                async with aio.Dealer(ctx, identity=name, connect=connect) as dealer:
                    await dealer.send(b"hello")
                    assert await router.recv_multipart() == [name, b"hello"]
                    await router.send_multipart([name, b"you"])
                    assert await dealer.recv() == b"you"

    on_loop(main)


def test_new__callbacks(on_loop, ctx):
    async def main():
        errors, got = Errors(), []
        async with (
            aio.Push(ctx, bind="inproc://x", on_drain=got.append) as push,
            aio.Pull(
                ctx,
                connect="inproc://x",
                on_read=lambda *args: got.append(args),
                on_error=errors,
            ) as pull,
        ):
            assert push.on_drain == got.append
            assert pull.on_error is errors
            push.push_write(lambda _: b"x")
            await until(lambda: len(got) == 2)
            assert push in got
            assert (pull, b"x") in got

    on_loop(main)


def test_handle__of_any_socket(on_loop, sock):
    async def main():
        for kind in CLASSES.values():
            handle = aio.Handle(sock(kind))
            assert handle.socket.type == kind
            assert "Handle" in repr(handle)
            handle.close()

    on_loop(main)


def test_handle__arguments(on_loop, sock):
    async def main():
        errors, got = Errors(), []
        one = aio.Handle(
            sock(zraw.ZMQ_DEALER),
            bind=["inproc://a", "inproc://b"],
            identity=b"one",
            on_read=lambda *args: got.append(args),
            on_drain=got.append,
            on_error=errors,
        )
        other = aio.Handle(sock(zraw.ZMQ_DEALER), connect=b"inproc://b")
        assert one.identity == b"one"
        assert (one.on_drain, one.on_error) == (got.append, errors)
        await other.send(b"x")
        await until(lambda: got == [(one, b"x")])

    on_loop(main)


# ---- constructors that fail


FAILING = [
    ({"bind": 42}, TypeError, "bind"),
    ({"connect": [None]}, TypeError, None),
    ({"bind": "nonsense://x"}, zraw.ZMQError, "nonsense"),
    ({"connect": ["inproc://good", "nonsense://x"]}, zraw.ZMQError, "nonsense"),
    ({"identity": "text"}, TypeError, None),
    ({"identity": b"x" * 300}, zraw.InvalidArgument, "ROUTING_ID"),
    ({"options": [1]}, TypeError, "options: a dict"),
    ({"options": {zraw.ZMQ_SNDHWM: "many"}}, TypeError, "SNDHWM"),
    ({"options": {424242: 1}}, ValueError, "424242"),
    ({"on_error": 42}, TypeError, "on_error"),
]


@classes
def test_new__that_fails_leaves_no_socket(ctx, cls):
    for arguments, error, text in FAILING:
        with pytest.raises(error, match=text):
            cls(ctx, **arguments)
        assert ctx.sockets == []


@pytest.mark.parametrize("name", ["on_read", "on_drain", "on_request"])
def test_new__callback_that_is_none(on_loop, ctx, name):
    async def main():
        for cls in CLASSES:
            parameters = inspect.signature(cls).parameters
            if name in parameters:
                with pytest.raises(TypeError, match=name):
                    cls(ctx, **{name: 42}, bind="tcp://127.0.0.1:*")
                assert ctx.sockets == []
                close(cls(ctx, **{name: None}))

    on_loop(main)


def test_new__address_in_use(ctx):
    first = aio.Pull(ctx, bind="tcp://127.0.0.1:*")
    with pytest.raises(zraw.AddressInUse):
        aio.Pull(ctx, bind=last_endpoint(first))
    assert ctx.sockets == [first.socket]
    close(first)


@pytest.mark.parametrize("topics", [b"one", "text", ["text"], [7], 42])
def test_subscribe__topics_that_are_none(ctx, topics):
    with pytest.raises(TypeError):
        aio.Subscribe(ctx, topics=topics)
    assert ctx.sockets == []


@classes
def test_new__no_context(cls, sock):
    for wrong in (None, 1, "context", sock(zraw.ZMQ_PAIR)):
        with pytest.raises(TypeError, match=r"context: a zraw\.Context"):
            cls(wrong)


@classes
def test_new__context_that_is_over(cls):
    context = zraw.Context()
    context.close()
    with pytest.raises(zraw.ZMQError):
        cls(context)


@pytest.mark.parametrize("wrong", [None, 7, "socket"])
def test_handle__no_socket(wrong):
    with pytest.raises(TypeError, match=r"socket: a zraw\.Socket"):
        aio.Handle(wrong)


def test_handle__closed_socket(sock):
    socket = sock(zraw.ZMQ_PAIR)
    socket.close()
    with pytest.raises(zraw.NotASocket):
        aio.Handle(socket)


def test_handle__that_fails_leaves_the_socket_open(sock):
    """Whoever has made it closes it."""
    socket = sock(zraw.ZMQ_PAIR)
    for arguments, error, text in FAILING:
        if "options" not in arguments:
            with pytest.raises(error, match=text):
                aio.Handle(socket, **arguments)
            assert not socket.closed
    with pytest.raises(TypeError, match="options"):
        aio.Handle(socket, options={})
    close(aio.Handle(socket))


# ---- async with


def test_aenter__is_the_handle_and_the_end_closes(on_loop, ctx):
    async def main():
        for cls in CLASSES:
            handle = cls(ctx)
            async with handle as same:
                assert same is handle
                assert not handle.closed
            assert handle.closed
            async with handle:
                pass
        assert ctx.sockets == []

    on_loop(main)


def test_aexit__closes_after_an_exception_without_draining(on_loop, ctx):
    async def main():
        errors = Errors()
        with pytest.raises(Boom):
            async with aio.Push(ctx, bind="inproc://x", on_error=errors) as push:
                push.push_write(b"never")
                raise Boom
        assert push.closed
        assert errors.types == [aio.Unsent]
        assert errors.all[0][1].count == 1

    on_loop(main)


def test_aexit__drains_first(on_loop, pair):
    async def main():
        pusher, puller = handles(
            pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=1, RCVHWM=1, LINGER=5000
        )
        pusher.on_error = errors = Errors()
        got = []
        puller.on_read = lambda _, message: got.append(message)
        async with pusher:
            for number in range(100):
                pusher.push_write(b"%d" % number)
        assert pusher.closed
        await until(lambda: len(got) == 100)
        assert got == [b"%d" % number for number in range(100)]
        assert not errors.all

    on_loop(main)


def test_aexit__closed_inside(on_loop, ctx):
    async def main():
        errors = Errors()
        async with aio.Push(ctx, bind="inproc://x", on_error=errors) as push:
            push.push_write(b"never")
            push.close()
        assert errors.types == [aio.Unsent]

    on_loop(main)
