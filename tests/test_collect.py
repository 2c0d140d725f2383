"""Contexts and sockets that nobody holds any more, dropped in every order."""

from __future__ import annotations

import itertools

import pytest

from programs import check

# A peer that counts what arrives, for whatever is dropped has sent something.
DROPS = """
import weakref
warnings.simplefilter("ignore", ResourceWarning)
where = pull.bind("tcp://127.0.0.1:*")
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
sent = 0

def make(context=None):
    "A context with a socket that has just sent a message."
    global sent
    own = context or zraw.Context()
    socket = own.socket(zraw.ZMQ_PUSH)
    socket.connect(where)
    socket.send(b"short")
    socket.send(b"pinned" * 20000)
    sent += 2
    return own, socket

class Node:
    "What can be part of a cycle, and be watched."

def all_arrived():
    global sent
    got = sorted(len(pull.recv()) for _ in range(sent))
    assert got == [5] * (sent // 2) + [120000] * (sent // 2), got
    sent = 0

def gone(*references):
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)

def threads_gone():
    "Those that terminate the contexts; each of those had two more."
    if os.path.exists("/proc/self/task"):
        until(lambda: len(os.listdir("/proc/self/task")) <= 6)
"""


@pytest.mark.parametrize("order", list(itertools.permutations(("own", "one", "other"))))
def test_collection__of_a_context_and_two_sockets_in_this_order(order):
    """The context lives as long as its last socket, whoever else has let go of it."""
    check(
        DROPS
        + f"""
own, one = make()
own, other = make(own)
references = dict(own=weakref.ref(own), one=weakref.ref(one), other=weakref.ref(other))
for name in {order!r}:
    del globals()[name]
    socket_left = {{"one", "other"}} & set(globals())
    assert (references[name]() is None) == (name != "own" or not socket_left), name
    assert (references["own"]() is None) == (
        not socket_left and "own" not in globals()), name
    for left in socket_left:
        assert not globals()[left].closed
        globals()[left].send(b"short")
        globals()[left].send(b"pinned" * 20000)
        sent += 2
all_arrived()
threads_gone()
end()
"""
    )


CYCLES = {
    "through an attribute of a subclass": """
class Mine(zraw.Context):
    pass
class Its(zraw.Socket):
    pass
own = Mine()
socket = Its(own, zraw.ZMQ_PUSH)
own.socket_kept, socket.context_kept, socket.me = socket, own, socket
references = weakref.ref(own), weakref.ref(socket)
socket.connect(where); socket.send(b"short"); socket.send(b"pinned" * 20000); sent += 2
del own, socket
""",
    "through a node": """
node = Node()
node.me, node.things = node, make()
references = [weakref.ref(thing) for thing in (node, *node.things)]
del node
""",
    "through a poller": """
node = Node()
node.things, node.poller = make(), zraw.Poller()
node.poller.add(node.things[1], 2, node)
references = weakref.ref(node), weakref.ref(node.things[1]), weakref.ref(node.poller)
del node
""",
    "through an on_free": """
def tie():
    node = Node()
    node.own, node.socket = make()
    node.lent = zraw.Message.init_data(bytearray(100), lambda node=node: None)
    node.lent.close()  # as long as libzmq has it, nothing is collected
    return weakref.ref(node.socket), weakref.ref(node)
references = tie()
until(lambda: gc.collect() >= 0 and references[0]() is None)
""",
    "through a handler of timers": """
def tie():
    node = Node()
    node.things, node.timers = make(), zraw.Timers()
    node.timers.add(1000, lambda _, node=node: None)
    return [weakref.ref(node)]
references = tie()
""",
    "through a hook": """
def tie():
    node = Node()
    node.things = make()
    node.things[1]._hook = lambda closing, node=node: None
    return weakref.ref(node), weakref.ref(node.things[1])
references = tie()
""",
    "through a closure and a traceback": """
def fail():
    own, socket = make()
    references = weakref.ref(own), weakref.ref(socket)
    try:
        socket.setsockopt(zraw.ZMQ_LINGER, "wrong")
    except TypeError as error:
        kept = error
        return references, lambda: kept
references, closure = fail()
del closure
""",
}


@pytest.mark.parametrize("cycle", CYCLES)
def test_collection__of_a_cycle(cycle):
    check(
        DROPS
        + CYCLES[cycle]
        + """
gone(*references)
all_arrived()
threads_gone()
end()
"""
    )


def test_collection__weak_references_are_told_and_die_in_any_order():
    check(
        DROPS
        + """
told = []
for number in range(50):
    own, socket = make()
    references = [weakref.ref(thing, lambda _, name=name: told.append(name))
                  for name, thing in (("own", own), ("socket", socket))]
    weakref.finalize(socket, told.append, "finalized")
    if number % 2:
        del own, socket
    else:
        del socket, own
assert sorted(told) == ["finalized"] * 50 + ["own"] * 50 + ["socket"] * 50
all_arrived()
threads_gone()
end()
"""
    )


def test_collection__destructor_of_a_subclass_may_still_use_it_or_revive_it():
    check(
        DROPS
        + """
class Talkative(zraw.Socket):
    def __del__(self):
        global sent, revived
        self.send(b"short")
        self.send(b"pinned" * 20000)
        sent += 2
        if revived is None:
            revived = self
revived = None
for _ in range(2):
    own = zraw.Context()
    socket = Talkative(own, zraw.ZMQ_PUSH)
    socket.connect(where)
    del own, socket
    gc.collect()
assert not revived.closed and revived.context.sockets == [revived]
revived.send(b"short")
revived.send(b"pinned" * 20000)
sent += 2
all_arrived()
kept = revived.context
kept.close()
assert revived.closed
refused(zraw.NotASocket, [lambda: revived.send(b"x")])
Talkative.__del__ = lambda self: None
del revived, kept
threads_gone()
end()
"""
    )


def test_collection__while_a_call_waits_and_while_another_thread_makes_some():
    """gc.collect() runs in each; what is in use stays, what is not goes."""
    check(
        DROPS
        + """
gc.set_threshold(1)
stop, errors = threading.Event(), []
def churn():
    try:
        while not stop.is_set():
            node = Node()
            node.me, node.own = node, zraw.Context()
            node.socket = node.own.socket(zraw.ZMQ_PAIR)
            node.poller = zraw.Poller()
            node.poller.add(node.socket)
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=churn) for _ in range(2)]
for thread in threads:
    thread.start()
with context.socket(zraw.ZMQ_PAIR) as one, context.socket(zraw.ZMQ_PAIR) as other:
    one.connect(other.bind("inproc://pair"))
    other.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
    for number in range(300):
        one.send_multipart([b"%d" % number, zraw.Message.init_data(bytearray(1000))])
        assert other.recv_multipart()[0] == b"%d" % number
        gc.collect(number % 3)
stop.set()
for thread in threads:
    thread.join(20)
gc.collect()
assert not errors, errors
threads_gone()
end()
""",
        timeout=60,
    )


@pytest.mark.parametrize("frozen", [True, False])
def test_collection__gc_freeze_or_disable_keeps_nothing_open_for_ever(frozen):
    """What is frozen is not collected, but what is not part of a cycle still goes."""
    check(
        DROPS
        + f"""
own, socket = make()
node = Node()
node.me, node.things = node, make()
references = weakref.ref(own), weakref.ref(socket)
cyclic = weakref.ref(node)
gc.freeze() if {frozen} else gc.disable()
del own, socket, node
assert [reference() for reference in references] == [None, None]
if {frozen}:
    gc.collect()
    assert cyclic() is not None and not cyclic().things[1].closed
    gc.unfreeze()
gone(cyclic)
all_arrived()
threads_gone()
end()
"""
    )


def test_collection__thread_locals_go_with_their_thread():
    check(
        DROPS
        + """
local = threading.local()
references = []
def work():
    local.own, local.socket = make()
    references.extend((weakref.ref(local.own), weakref.ref(local.socket)))
threads = [threading.Thread(target=work) for _ in range(5)]
for thread in threads:
    thread.start()
    thread.join(10)
gone(*references)
all_arrived()
threads_gone()
end()
"""
    )
