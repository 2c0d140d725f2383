"""Poller: what it keeps alive, what closes under it, other threads, processes, ends."""

from __future__ import annotations

import errno
import gc
import os
import threading
import weakref

import pytest

import zraw
from conftest import is_inside, wait_until
from programs import check

IN, OUT = zraw.ZMQ_POLLIN, zraw.ZMQ_POLLOUT


class Data:
    """What a weak reference can point at."""


@pytest.fixture
def poller():
    with zraw.Poller() as made:
        yield made


def raises(error, number, call, *args):
    """The call raises exactly this class, with this errno."""
    with pytest.raises(error) as caught:
        call(*args)
    assert type(caught.value) is error
    assert caught.value.errno == zraw.errno() == number


def nothing(poller):
    """Nothing is ready."""
    raises(zraw.Again, errno.EAGAIN, poller.wait, 0)
    raises(zraw.Again, errno.EAGAIN, poller.wait_all, 5, 0)


# ---- thread-safe types


def test_poller_fd__only_with_a_thread_safe_socket(poller, sock):
    raises(zraw.InvalidArgument, errno.EINVAL, poller.fd)
    poller.add(sock(zraw.ZMQ_PAIR))
    raises(zraw.InvalidArgument, errno.EINVAL, poller.fd)
    if not zraw.has("draft"):
        raises(zraw.NotSupported, errno.ENOTSUP, sock, zraw.ZMQ_SERVER)
        return
    server, client = sock(zraw.ZMQ_SERVER), sock(zraw.ZMQ_CLIENT)
    client.connect(server.bind("tcp://127.0.0.1:*"))
    poller.add(server)
    fd = poller.fd()
    os.fstat(fd)
    with pytest.raises(zraw.Again):
        poller.wait(0)
    client.send(b"x")
    assert zraw.poll([(fd, IN)], 5000) == [(fd, IN)]
    wait_until(lambda: poller.wait(5000) == (server, None, IN))


@pytest.mark.parametrize("end", ["destroy", "collection"])
def test_poller_destroy__closes_its_descriptor(sock, end):
    if not zraw.has("draft"):
        raises(zraw.NotSupported, errno.ENOTSUP, sock, zraw.ZMQ_SERVER)
        return
    poller = zraw.Poller()
    poller.add(sock(zraw.ZMQ_SERVER))
    fd = poller.fd()
    os.fstat(fd)
    if end == "destroy":
        poller.destroy()
    else:
        del poller
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_poller_wait__thread_safe_sockets(poller, sock):
    if not zraw.has("draft"):
        raises(zraw.NotSupported, errno.ENOTSUP, sock, zraw.ZMQ_CLIENT)
        return
    server, client = sock(zraw.ZMQ_SERVER), sock(zraw.ZMQ_CLIENT)
    where = server.bind("tcp://127.0.0.1:*")
    poller.add(server, IN, "s")
    client.connect(where)
    client.send(b"x")
    assert poller.wait(5000) == (server, "s", IN)
    assert server.recv() == b"x"
    nothing(poller)
    poller.modify(server, IN | OUT)
    assert poller.wait(0) == (server, "s", OUT)
    poller.modify(server, IN)
    # They may be used while another thread waits with the poller, but not closed.
    results = []
    plain = sock(zraw.ZMQ_PAIR)
    poller.add(plain)
    poller.add(client, IN)
    thread = threading.Thread(target=lambda: results.append(poller.wait(5000)))
    thread.start()
    wait_until(lambda: is_inside(plain))
    raises(zraw.SocketInUse, errno.EBUSY, server.close)
    client.send(b"y")
    thread.join(10)
    assert results == [(server, "s", IN)]
    server.close()
    assert poller.size() == 2
    poller.remove(client)
    client.close()
    nothing(poller)


# ---- what lives how long


@pytest.mark.parametrize("end", ["remove", "close", "destroy", "collection", "context"])
def test_poller_add__user_data_lives_as_long_as_it_is_registered(end):
    context = zraw.Context()
    socket = context.socket(zraw.ZMQ_PULL)
    poller, data = zraw.Poller(), Data()
    socket.bind("inproc://x")
    push = context.socket(zraw.ZMQ_PUSH)
    push.connect("inproc://x")
    push.send(b"x")
    poller.add(socket, IN, data)
    reference = weakref.ref(data)
    del data
    gc.collect()
    for _ in range(3):
        assert poller.wait(5000)[1] is reference() is not None
        assert poller.wait_all(9)[0][1] is reference()
        poller.modify(socket, IN | OUT)
    if end == "remove":
        poller.remove(socket)
    elif end == "close":
        socket.close()
    elif end == "destroy":
        poller.destroy()
    elif end == "context":
        context.close()
    else:
        del poller
    assert reference() is None
    context.close()


def test_poller_add_fd__user_data_and_file_live_as_long_as_registered(poller):
    held, data = Data(), Data()
    held.fileno = lambda: 0
    references = [weakref.ref(held), weakref.ref(data)]
    poller.add_fd(held, IN, data)
    poller.add_fd(1)
    del held, data
    gc.collect()
    assert all(reference() for reference in references)
    poller.modify_fd(0, 0)
    assert all(reference() for reference in references)
    poller.remove_fd(0)
    assert not any(reference() for reference in references)


def test_poller_add__that_fails_keeps_nothing(poller, sock):
    socket, data = sock(zraw.ZMQ_PULL), Data()
    poller.add(socket)
    reference = weakref.ref(data)
    with pytest.raises(zraw.InvalidArgument):
        poller.add(socket, IN, data)
    del data
    assert reference() is None


def test_poller_wait__event_keeps_what_was_removed(poller, pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.send(b"x")
    poller.add(pull, IN, Data())
    event = poller.wait()
    poller.remove(pull)
    gc.collect()
    assert isinstance(event[1], Data)


def test_poller_add__keeps_the_socket_open():
    with zraw.Context() as context, zraw.Poller() as poller:
        socket = context.socket(zraw.ZMQ_PUSH)
        reference = weakref.ref(socket)
        poller.add(socket, OUT)
        del socket
        gc.collect()
        assert not reference().closed
        with context.socket(zraw.ZMQ_PULL) as pull:
            pull.connect(reference().bind("inproc://x"))
            assert poller.wait(5000)[0] is reference()
        reference().close()
        assert poller.size() == 0 and reference() is None


def test_poller__closed_sockets_leave_every_poller(sock, ctx):
    sockets = [sock(zraw.ZMQ_PULL) for _ in range(3)]
    pollers = [zraw.Poller() for _ in range(3)]
    for poller in pollers:
        for number, socket in enumerate(sockets):
            poller.add(socket, IN, number)
    pollers[2].remove(sockets[0])
    gone = weakref.ref(pollers.pop(1))
    assert gone() is None
    sockets[0].close()
    assert [poller.size() for poller in pollers] == [2, 2]
    push = sock(zraw.ZMQ_PUSH)
    push.connect(sockets[2].bind("inproc://x"))
    push.send(b"x")
    for poller in pollers:
        assert poller.wait(5000) == (sockets[2], 2, IN)
        raises(zraw.NotASocket, errno.ENOTSOCK, poller.remove, sockets[0])
    ctx.close(linger=0)
    for poller in pollers:
        assert poller.size() == 0
        nothing(poller)


def test_poller__garbage_cycles_are_collected():
    """Poller, user data and socket hold each other, in every way."""
    check("""
import weakref
warnings.simplefilter("ignore", ResourceWarning)
class Data:
    pass
class Own(zraw.Socket):
    pass
class OwnPoller(zraw.Poller):
    pass
kinds = [zraw.ZMQ_PULL] + [zraw.ZMQ_CLIENT] * zraw.has("draft")
def cycle(kind, number):
    data, poller = Data(), OwnPoller()
    socket, other = Own(context, kind), context.socket(kind)
    if number & 1:
        data.poller, data.socket = poller, socket
    if number & 2:
        socket.poller, socket.other = poller, other
    if number & 4:
        poller.mine = [poller, data]
    poller.add(socket, 1, data)
    poller.add(other, 0, [poller])
    poller.add_fd(0, 0, poller)
    return [weakref.ref(thing) for thing in (data, poller, socket, other)]
for number in range(64):
    for kind in kinds:
        references = cycle(kind, number)
        gc.collect()
        assert [thing() for thing in references] == [None] * 4, references
assert len(context.sockets) == 2
end()
""")


# ---- other threads


def test_poller_wait__second_thread_is_refused(sock, poller):
    pull, push, other = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PUSH)
    where, results = pull.bind("inproc://x"), []
    poller.add(pull, IN)
    poller.add(push, 0)
    thread = threading.Thread(target=lambda: results.append(poller.wait()))
    thread.start()
    wait_until(lambda: is_inside(pull))
    for call in (
        poller.size,
        poller.fd,
        lambda: poller.add(other),
        lambda: poller.modify(pull, OUT),
        lambda: poller.remove(pull),
        lambda: poller.add_fd(0),
        lambda: poller.modify_fd(0, IN),
        lambda: poller.remove_fd(0),
        lambda: poller.wait(0),
        lambda: poller.wait_all(1, 0),
        poller.destroy,
        pull.close,
        pull.try_recv,
        lambda: push.send(b"x"),
    ):
        raises(zraw.SocketInUse, errno.EBUSY, call)
    assert thread.is_alive() and len(poller) == 2 and not is_inside(other)
    other.connect(where)
    other.send(b"x")
    thread.join(10)
    assert results == [(pull, None, IN)]
    assert poller.size() == 2 and not is_inside(pull) and not is_inside(push)


def test_poller_wait__socket_of_another_thread_is_refused(sock, poller):
    busy, free = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PULL)
    where, results = busy.bind("inproc://x"), []
    poller.add(free)
    poller.add(busy)
    thread = threading.Thread(target=lambda: results.append(busy.poll()))
    thread.start()
    wait_until(lambda: is_inside(busy))
    raises(zraw.SocketInUse, errno.EBUSY, poller.wait, 0)
    raises(zraw.SocketInUse, errno.EBUSY, poller.wait_all, 1)
    assert not is_inside(free) and poller.size() == 2
    with zraw.Poller() as second:
        raises(zraw.SocketInUse, errno.EBUSY, second.add, busy)
        assert second.size() == 0
        second.add(free)
    poller.remove(busy)  # which does not touch the socket
    nothing(poller)
    push = sock(zraw.ZMQ_PUSH)
    push.connect(where)
    push.send(b"x")
    thread.join(10)
    assert results == [IN]
    poller.add(busy)
    assert poller.wait() == (busy, None, IN)


CALLS = {
    "wait": "poller.wait()",
    "wait_all": "poller.wait_all(5)",
    "timed": "poller.wait(100000)",
}


@pytest.mark.parametrize("call", CALLS)
def test_poller_wait__ends_by_shutdown_and_never_aborts(call):
    """libzmq's own poller aborts if its set changes after the end of a context."""
    check(f"""
pull.bind("inproc://x")
poller = zraw.Poller()
poller.add(pull, 1)
r, w = os.pipe()
poller.add_fd(r, 0)
poller.add(push, 0)
caught = []
def wait():
    try:
        {CALLS[call]}
    except zraw.ZMQError as error:
        caught.append(error)
thread = threading.Thread(target=wait)
thread.start()
until(lambda: inside(push))
start = time.monotonic()
context.shutdown()
thread.join(10)
assert time.monotonic() - start < 1
assert [type(error) for error in caught] == [zraw.ContextTerminated], caught
assert caught[0].errno == zraw.ETERM
ended = [lambda: poller.wait(0), poller.wait, lambda: poller.wait_all(3),
         lambda: poller.wait(100)]
refused(zraw.ContextTerminated, ended)
for change in (lambda: poller.modify(pull, 3), lambda: poller.remove(push),
               lambda: poller.add(push, 2), lambda: poller.modify_fd(r, 1),
               lambda: poller.modify(push, 1)):
    change()
    refused(zraw.ContextTerminated, ended)
other = zraw.Poller()
other.add(pull)
refused(zraw.ContextTerminated, [other.wait, lambda: other.wait(0)])
other.destroy()
pull.close()
refused(zraw.ContextTerminated, ended)
context.close()
assert poller.size() == 1
poller.destroy()
""")


def test_poller_wait__ends_by_shutdown_if_no_events_are_waited_for(ctx, sock, poller):
    socket = sock(zraw.ZMQ_PULL)
    poller.add(socket, 0)
    nothing(poller)
    ctx.shutdown()
    with pytest.raises(zraw.ContextTerminated):
        socket.recv()
    raises(zraw.ContextTerminated, zraw.ETERM, poller.wait, 0)
    raises(zraw.ContextTerminated, zraw.ETERM, poller.wait_all, 1, 20)


def test_poller_wait__set_changed_in_the_midst_of_a_shutdown():
    check("""
for number in range(30):
    context = zraw.Context()
    sockets = [context.socket(zraw.ZMQ_PULL) for _ in range(3)]
    poller = zraw.Poller()
    for one in sockets:
        poller.add(one)
    thread = threading.Thread(target=lambda: [time.sleep(number / 10000),
                                              context.shutdown()])
    thread.start()
    try:
        while True:
            poller.modify(sockets[1], 1)
            try:
                poller.wait(0)
            except zraw.Again:
                pass
    except zraw.ContextTerminated:
        pass
    thread.join()
    context.close()
    assert poller.size() == 0
""")


def test_ctx_close__waits_for_the_thread_in_poller_wait():
    check("""
poller, caught = zraw.Poller(), []
poller.add(pull, 1, object())
poller.add(push, 0)
def wait():
    try:
        poller.wait_all(3)
    except zraw.ContextTerminated as error:
        caught.append(error)
thread = threading.Thread(target=wait)
thread.start()
until(lambda: inside(pull))
context.close()
thread.join(10)
assert len(caught) == 1 and pull.closed and push.closed
assert poller.size() == 0
""")


def test_poller_wait__of_a_daemon_thread_does_not_delay_exit():
    done = check("""
pollers = [zraw.Poller() for _ in range(3)]
pollers[0].add(pull)
pollers[1].add(push, 0)
pollers[1].add_fd(os.pipe()[0])
for poller in pollers:
    threading.Thread(target=poller.wait, args=[100000], daemon=True).start()
until(lambda: inside(pull) and inside(push))
""")
    assert done.seconds < 3


# ---- fork


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"])
@pytest.mark.parametrize("ending", ["destroy", "collect", "exit"])
def test_poller__forked_child_is_refused_and_silent(fork, ending):
    check(f"""
poller = zraw.Poller()
poller.add(pull, 1, [push])
r, w = os.pipe()
poller.add_fd(r)
pid = {fork}
if pid == 0:
    refused(zraw.ForkError, [
        poller.size, poller.fd, poller.wait, lambda: poller.wait(0),
        lambda: poller.wait_all(1), lambda: poller.add(push),
        lambda: poller.modify(pull, 0), lambda: poller.remove(pull),
        lambda: poller.add_fd(w), lambda: poller.modify_fd(r, 0),
        lambda: poller.remove_fd(r)])
    assert len(poller) == 2 and repr(poller)
    if {ending!r} == "destroy":
        with poller:
            pull.close()
        poller.destroy()
        refused(zraw.InvalidHandle, [poller.size])
    elif {ending!r} == "collect":
        del poller, pull, push, context, socket
        gc.collect()
    mine = zraw.Poller()
    mine.add_fd(r)
    os.write(w, b"x")
    assert mine.wait(5000) == (r, None, 1)
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
assert poller.wait(5000) == (r, None, 1)
poller.destroy()
end()
""")
