"""zraw send, recv, request and reply, with each other and with plain sockets."""

from __future__ import annotations

import os
import sys
import time

import pytest

import zraw
from cli_tools import Done, run, started
from drafts import DRAFT

pytestmark = pytest.mark.skipif(not zraw.has("ipc"), reason="no ipc")


@pytest.fixture
def there(tmp_path):
    return f"ipc://{tmp_path}/s"


# ---- send and recv


def test_send__arguments_are_printed_by_recv(there):
    with started("recv", "PULL", "--bind", there, "--count", 3) as recv:
        sent = run("send", "push", "one", "--connect", there, "two words", "--", "-3")
        assert sent == Done(0, b"", "")
        assert recv.end() == Done(0, b"one\ntwo words\n-3\n", "")


def test_send__lines_of_stdin_are_messages(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    given = b"a\n\n\xff\x00 b\r\nlast"
    assert run("send", "PUSH", "--connect", there, stdin=given) == Done(0, b"", "")
    received = [pull.recv() for _ in range(4)]
    assert received == [b"a", b"", b"\xff\x00 b\r", b"last"]


def test_send__a_line_goes_before_the_next_is_typed(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    with started("send", "PUSH", "--connect", there) as send:
        for line in (b"first", b"second"):
            send.process.stdin.write(line + b"\n")
            send.process.stdin.flush()
            assert pull.recv() == line
        assert send.end() == Done(0, b"", "")


def test_send__whole_input_is_one_message(sock, there, tmp_path):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    data = bytes(range(256)) * 1000
    (tmp_path / "data").write_bytes(data)
    to = ("send", "PUSH", "--connect", there, "--whole")
    assert run(*to, stdin=data).code == 0
    assert pull.recv() == data
    assert run(*to, "--file", tmp_path / "data", "--count", 2).code == 0
    assert (pull.recv(), pull.recv()) == (data, data)


def test_send__count_repeats_arguments_and_limits_lines(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    assert run("send", "PUSH", "a", "b", "--connect", there, "--count", 3).code == 0
    assert [pull.recv() for _ in range(3)] == [b"a", b"b", b"a"]
    limited = ("send", "PUSH", "--connect", there, "--count", 2, "--file", "-")
    assert run(*limited, stdin=b"1\n2\n3\n").code == 0
    assert [pull.recv() for _ in range(2)] == [b"1", b"2"]
    assert pull.try_recv() is None


def test_send__interval_lies_between_messages(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    arguments = ("a", "--count", 4, "--interval", "0.15", "--connect", there)
    with started("send", "PUSH", *arguments) as send:
        assert pull.recv() == b"a"
        start = time.monotonic()
        assert [pull.recv() for _ in range(3)] == [b"a"] * 3
        assert time.monotonic() - start > 0.4
        assert send.end().code == 0


def test_send__several_endpoints(sock, tmp_path):
    ends = [f"ipc://{tmp_path}/{number}" for number in range(2)]
    pulls = [sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PULL)]
    pulls[0].bind(ends[0])
    both = ("--connect", ends[0], "--bind", ends[1], "--wait-for", 2)
    with started("send", "PUSH", "a", "b", *both) as send:
        pulls[1].connect(ends[1])
        assert sorted(pull.recv() for pull in pulls) == [b"a", b"b"]
        assert send.end().code == 0


def test_recv__bound_port_is_told():
    with started("recv", "PULL", "--bind", "tcp://127.0.0.1:*", "--count", 1) as recv:
        endpoint = recv.endpoint()
        assert run("send", "PUSH", "x", "--connect", endpoint).code == 0
        assert recv.end() == Done(0, b"x\n", "")


def test_recv__prints_at_once(sock, there):
    push = sock(zraw.ZMQ_PUSH)
    push.bind(there)
    with started("recv", "PULL", "--connect", there) as recv:
        for number in range(3):
            push.send(b"%d" % number)
            assert recv.line() == b"%d\n" % number


def test_recv__a_hundred_thousand_lines_by_tcp():
    lines = b"".join(b"%d\n" % number for number in range(100_000))
    where = ("--bind", "tcp://127.0.0.1:*", "--count", 100_000)
    with started("recv", "PULL", *where) as recv:
        endpoint = recv.endpoint()
        with started("send", "PUSH", "--connect", endpoint) as send:
            send.process.stdin.write(lines)
            assert send.end().code == 0
            assert recv.end() == Done(0, lines, "")


# ---- types


def test_send__pub_waits_for_its_subscriber(there):
    with started("send", "PUB", "tick", "--bind", there) as send:
        recv = run("recv", "SUB", "--connect", there, "--count", 1, "--timeout", 20)
        assert recv == Done(0, b"tick\n", "")
        assert send.end().code == 0


def test_send__pub_waits_for_two_that_want_the_same(ctx, sock, there):
    with started("send", "PUB", "tick", "--bind", there, "--wait-for", 2) as send:
        subs = [sock(zraw.ZMQ_SUB) for _ in range(2)]
        for sub in subs:
            sub.setsockopt(zraw.ZMQ_SUBSCRIBE, b"t")
            sub.setsockopt(zraw.ZMQ_SUBSCRIBE, b"ti")  # not two subscribers
            sub.connect(there)
        assert [sub.recv() for sub in subs] == [b"tick"] * 2
        assert send.end().code == 0


def test_send__pub_that_waits_for_nobody(there):
    assert run("send", "PUB", "x", "--bind", there, "--wait-for", 0).code == 0


def test_recv__only_topics_asked_for(there):
    topics = ("--subscribe", "b", "--subscribe", "é")
    with started("send", "PUB", "a1", "b1", "c1", "é1", "--bind", there) as send:
        recv = run("recv", "SUB", "--connect", there, *topics, "--count", 2)
        assert recv.out == "b1\né1\n".encode()
        assert send.end().code == 0


def test_recv__xsub_subscribes_and_xpub_prints_it(there):
    with started("recv", "XPUB", "--bind", there, "--hex", "--count", 1) as xpub:
        ask = ("recv", "XSUB", "--connect", there, "--subscribe", "ab")
        with started(*ask):
            assert xpub.end() == Done(0, b"016162\n", "")


def test_recv__router_prints_who_has_sent(there):
    with started("recv", "ROUTER", "--bind", there, "--count", 1) as recv:
        name = ("--option", "ROUTING_ID=me")
        assert run("send", "DEALER", "x", "--connect", there, *name).code == 0
        assert recv.end() == Done(0, b"me\tx\n", "")


def test_send__router_names_the_receiver(sock, there):
    dealer = sock(zraw.ZMQ_DEALER, ROUTING_ID=b"me")
    dealer.connect(there)
    router = ("send", "ROUTER", "--bind", there, "--separator", ",", "--wait-for", 1)
    assert run(*router, "me,a,b").code == 0
    assert dealer.recv_multipart() == [b"a", b"b"]
    lost = run(*router, "you,a")
    assert lost.code == 1
    assert lost.err == (
        "zraw: error: the first frame names no peer of the ROUTER: 'you'\n"
    )


@pytest.mark.parametrize("command", ["send", "recv"])
@pytest.mark.parametrize("kind", ["CHANNEL", "zmq_dgram", "CLIENT"])
def test_main__draft_types_are_refused_by_libzmq(there, command, kind):
    given = (command, kind, "--bind", there, "--timeout", 0.01)
    done = run(*given, *(["x"] if command == "send" else []))
    if DRAFT:
        assert done.code in (1, 124)
    else:
        name = f"ZMQ_{kind.upper().removeprefix('ZMQ_')}"
        assert done == Done(
            1,
            b"",
            f"zraw: error: Operation not supported: Socket({name}): this libzmq is "
            "built without its draft API\n",
        )


@pytest.mark.skipif(not DRAFT, reason="this libzmq has no draft API")
def test_send__radio_and_dish_by_groups():
    where = ("--bind", "tcp://127.0.0.1:*", "--group", "g", "--group", "h")
    with started("recv", "DISH", *where, "--count", 2) as recv:
        to = ("send", "RADIO", "--connect", recv.endpoint())
        assert run(*to, "--group", "g", "1").code == 0
        assert run(*to, "--separator", ",", "other,2", "h,3").code == 0
        assert recv.end() == Done(0, b"g\t1\nh\t3\n", "")


@pytest.mark.skipif(not DRAFT, reason="this libzmq has no draft API")
@pytest.mark.parametrize(
    ("first", "second"), [("CLIENT", "SERVER"), ("SCATTER", "GATHER")]
)
def test_send__drafts_of_one_frame(there, first, second):
    with started("recv", second, "--bind", there, "--count", 1) as recv:
        assert run("send", first, "--connect", there, "x").code == 0
        assert recv.end() == Done(0, b"x\n", "")


@pytest.mark.skipif(not DRAFT, reason="this libzmq has no draft API")
def test_request__client_and_server(there):
    with started("reply", "SERVER", "--bind", there, "--echo"):
        assert run("request", "CLIENT", "--connect", there, "x").out == b"x\n"


# ---- request and reply


@pytest.mark.parametrize("asking", ["REQ", "DEALER"])
@pytest.mark.parametrize("answering", ["REP", "ROUTER"])
def test_request__prints_the_answer_of_each(there, asking, answering):
    with started("reply", answering, "--bind", there, "--echo", "--count", 3) as reply:
        arguments = ("--connect", there, "--separator", ",", "a", "b,", "")
        assert run("request", asking, *arguments) == Done(0, b"a\nb,\n\n", "")
        assert reply.end() == Done(0, b"", "")


def test_request__prints_each_answer_before_the_next_line(there):
    with (
        started("reply", "REP", "--bind", there, "--echo"),
        started("request", "REQ", "--connect", there) as request,
    ):
        for line in (b"a\n", b"b\n"):
            request.process.stdin.write(line)
            request.process.stdin.flush()
            assert request.line() == line


def test_reply__fixed_text(there):
    with started("reply", "REP", "--bind", there, "--text", "no: é"):
        done = run("request", "REQ", "--connect", there, "a", "b")
        assert done.out == "no: é\nno: é\n".encode()


def test_reply__command_reads_the_question_and_prints_the_answer(there):
    with started("reply", "REP", "--bind", there, "--exec", "tr", "a-z", "A-Z"):
        done = run("request", "REQ", "--connect", there, "hello", "a\tb")
        assert done == Done(0, b"HELLO\nA\tB\n", "")


def test_reply__command_of_a_shell_and_frames(there):
    shell = ("--shell", "rev | rev; echo", "--separator", ",")
    with started("reply", "REP", "--bind", there, *shell):
        asked = ("request", "REQ", "--connect", there, "--json", '["a", "b"]')
        assert run(*asked).out == b'["a", "b\\n"]\n'


def test_reply__command_gets_raw_bytes(there):
    double = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d * 2)"
    command = ("--raw", "--exec", sys.executable, "-c", double)
    with started("reply", "REP", "--bind", there, *command):
        asked = ("request", "REQ", "--connect", there, "--whole", "--raw")
        assert run(*asked, stdin=b"\xff\n\0").out == b"\xff\n\0" * 2


def test_reply__command_that_fails_is_told_and_answered(there):
    with started(
        "reply", "REP", "--bind", there, "--count", 1, "--shell", "exit 3"
    ) as r:
        assert run("request", "REQ", "--connect", there, "x").out == b"\n"
        assert r.end() == Done(0, b"", "zraw: the command ended with 3\n")


def test_request__asks_again_on_a_new_socket(ctx, sock, there):
    """The first question goes to a server that never answers."""
    router = sock(zraw.ZMQ_ROUTER)
    router.bind(there)
    limits = ("--timeout", 0.3, "--retries", 5)
    with started("request", "REQ", "--connect", there, *limits, "x") as request:
        first, second = router.recv_multipart(), router.recv_multipart()
        assert first[1:] == second[1:] == [b"", b"x"]
        assert first[0] != second[0]
        router.send_multipart([second[0], b"", b"answer"])
        done = request.end()
    assert (done.code, done.out) == (0, b"answer\n")
    assert set(done.err.splitlines()) == {"zraw: no answer in 0.3 s; asking again"}


def test_request__asks_again_from_where_it_was_bound(ctx, sock):
    limits = ("--timeout", 0.3, "--retries", 5)
    with started("request", "REQ", "--bind", "tcp://127.0.0.1:*", *limits, "x") as ask:
        rep = sock(zraw.ZMQ_ROUTER)
        rep.connect(ask.endpoint())
        rep.recv_multipart()
        name, empty, _ = rep.recv_multipart()
        rep.send_multipart([name, empty, b"answer"])
        assert ask.end().out == b"answer\n"


def test_request__gives_up(there):
    done = run(
        "request", "REQ", "--connect", there, "--timeout", 0.1, "--retries", 1, "x"
    )
    assert done == Done(
        124,
        b"",
        "zraw: no answer in 0.1 s; asking again\n"
        "zraw: error: --timeout: no message came in 0.1 s\n",
    )


# ---- time


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("recv", "PULL"), "no message came in 0.1 s"),
        (("reply", "REP", "--echo"), "no message came in 0.1 s"),
        (("send", "PUSH", "x"), "no peer could take the message in 0.1 s"),
        (("send", "PUB", "x"), "only 0 of 1 subscribers came in 0.1 s"),
        (("send", "PUSH", "x", "--wait-for", 2), "only 0 of 2 peers came in 0.1 s"),
    ],
)
def test_main__timeout_is_exit_code_124(there, arguments, said):
    done = run(*arguments, "--bind", there, "--timeout", 0.1)
    assert done == Done(124, b"", f"zraw: error: --timeout: {said}\n")


def test_send__linger_that_was_too_short_is_no_success(there):
    done = run("send", "PUSH", "x", "--connect", there, "--linger", 0.1)
    assert done == Done(
        124,
        b"",
        "zraw: error: --linger: 0.1 s are over, and what was not sent is dropped\n",
    )


def test_send__nothing_to_send_is_no_failure(there):
    assert run("send", "PUSH", "--connect", there) == Done(0, b"", "")


def test_send__linger_waits_for_who_comes_late(sock, there):
    with started("send", "PUSH", "x", "--connect", there) as send:
        pull = sock(zraw.ZMQ_PULL)
        pull.bind(there)
        assert pull.recv() == b"x"
        assert send.end() == Done(0, b"", "")


def test_send__bad_line_does_not_lose_the_good_ones(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    done = run("send", "PUSH", "--connect", there, "--hex", stdin=b"61\n62\nzz\n63\n")
    said = "line 3: pairs of hexadecimal digits, not 'zz'"
    assert done == Done(1, b"", f"zraw: error: {said}\n")
    assert (pull.recv(), pull.recv(), pull.try_recv()) == (b"a", b"b", None)


def test_send__arguments_need_not_be_text(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    assert run("send", "PUSH", "--connect", there, os.fsdecode(b"\xff\xfe")).code == 0
    assert pull.recv() == b"\xff\xfe"
