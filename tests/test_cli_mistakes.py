"""Every mistake on zraw's command line is one line, and an exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import options
import zraw
from cli_tools import ZRAW, Done, run
from zraw import cli, cli_options
from zraw.cli_errors import UsageError
from zraw.cli_sockets import TAKES, TYPES

SEND = ("send", "PUSH", "x", "--linger", 0)
TO = (*SEND, "--connect", "tcp://127.0.0.1:9")
ASKED = ("request", "REQ", "--connect", "tcp://127.0.0.1:9", "x")
HERE = Path(__file__).parent


def called(capfd, arguments):
    """Call main() here: a hundred children would take half a minute."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as end:  # of argparse
        code = end.code
    said = capfd.readouterr()
    return Done(code, said.out.encode(), said.err)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        # types
        (("send", "PUSHH"), "'PUSHH' is no type of socket; did you mean PUSH?"),
        (("send", "zmq_psh"), "'zmq_psh' is no type of socket; did you mean PUSH?"),
        (("send", "nonsense"), "'nonsense' is no type of socket"),
        (("recv", "PUB"), "recv cannot use PUB, but PULL, SUB, XSUB, XPUB, PAIR, "),
        (("recv", "PUSH"), "for PUSH there is: send"),
        (("send", "SUB", "x"), "send cannot use SUB, but PUSH, PUB, XPUB, XSUB, "),
        (("send", "ZMQ_pull", "x"), "for PULL there is: recv"),
        (("send", "REQ", "x"), "for REQ there is: request"),
        (("recv", "REP"), "for REP there is: reply"),
        (("request", "SUB", "x"), "request cannot use SUB, but REQ, DEALER, CLIENT;"),
        (("reply", "PUSH", "--echo"), "but REP, ROUTER, SERVER, PEER; for PUSH"),
        # endpoints
        (SEND, "--bind or --connect, at least one endpoint"),
        ((*SEND, "--connect", "x"), "--connect x: transport://address, not 'x'"),
        ((*SEND, "--bind", "tcp://*:99999"), "a port from 0 to 65535, or *"),
        ((*SEND, "--bind", "inproc://a"), "use tcp:// or ipc://"),
        (("proxy", "PULL", "PUSH"), "--frontend-bind or --frontend-connect"),
        # options
        ((*TO, "-o", "RCVHWMM=3"), "'RCVHWMM' is no option of libzmq; did you mean"),
        ((*TO, "-o", "ZMQ_PUSH=8"), "'ZMQ_PUSH' is no option of libzmq"),
        ((*TO, "-o", "SNDHWM"), "ZMQ_SNDHWM=VALUE, not 'SNDHWM'"),
        ((*TO, "-o", "SNDHWM=x"), "ZMQ_SNDHWM is an integer, not 'x'"),
        ((*TO, "-o", "SNDHWM=-3"), "Invalid argument: setsockopt(ZMQ_SNDHWM) = -3"),
        ((*TO, "-o", "SNDHWM=9999999999"), "-2147483648 to 2147483647, not 9999999999"),
        ((*TO, "-o", "FD=3"), "it can only be read"),
        ((*TO, "-o", "CURVE_SERVERKEY=x"), "40 characters of Z85"),
        ((*TO, "-o", "LINGER=3"), "for ZMQ_LINGER there is --linger"),
        ((*TO, "-o", "rcvtimeo=3"), "for ZMQ_RCVTIMEO there is --timeout"),
        ((*TO, "-o", "PLAIN_PASSWORD=x"), "ZMQ_PLAIN_PASSWORD=@FILE"),
        ((*TO, "-o", "CURVE_SECRETKEY=x"), "ZMQ_CURVE_SECRETKEY=@FILE"),
        ((*TO, "-o", "IO_THREADS=-1"), "Context.set(ZMQ_IO_THREADS, -1)"),
        ((*TO, "-o", "IO_THREADS=x"), "ZMQ_IO_THREADS is an integer, not 'x'"),
        # what is sent
        ((*TO, "--file", "x"), "messages as arguments, or --file and --whole"),
        ((*TO, "--whole"), "messages as arguments, or --file and --whole"),
        ((*TO, "--json", "--separator", ","), "--separator has no meaning with --json"),
        ((*TO, "--separator", ""), "argument --separator: at least one character"),
        ((*TO, "--hex", "--json"), "not allowed with argument --hex"),
        ((*TO, "--raw"), "unrecognized arguments: --raw"),
        # numbers
        ((*TO, "--count", "0"), "argument --count: 1 to 1000000000000000000 times"),
        ((*TO, "--count", "1" * 5000), "argument --count: 1 to 1000000000000000000"),
        ((*TO, "--interval", "-1"), "argument --interval: 0 to 2000000 seconds, not"),
        ((*TO, "--interval", "nan"), "0 to 2000000 seconds, not 'nan'"),
        ((*TO, "--timeout", "inf"), "0 to 2000000 seconds, not 'inf'"),
        ((*TO, "--timeout", "soon"), "0 to 2000000 seconds, not 'soon'"),
        ((*TO, "--linger", "2e6x"), "argument --linger: 0 to 2000000 seconds"),
        ((*TO, "--wait-for", "-1"), "argument --wait-for: 0 to 1000000 peers"),
        ((*ASKED, "--retries", "1"), "--retries needs --timeout"),
        # what does not go together
        ((*TO, "--group", "g"), "--group is for RADIO, not PUSH"),
        (("recv", "DISH", "--bind", "tcp://*:*"), "DISH needs --group, at least one"),
        (("recv", "PULL", "--subscribe", "a"), "--subscribe is for SUB and XSUB, not"),
        (
            ("send", "RADIO", "--connect", "udp://127.0.0.1:9", "--wait-for", "1", "x"),
            "--wait-for: nobody shakes hands over udp, pgm and norm",
        ),
        (("reply", "REP"), "one of the arguments --echo --text --exec --shell is req"),
        (("reply", "REP", "--echo", "--text", "x"), "not allowed with argument --echo"),
        (("reply", "REP", "--bind", "tcp://*:*", "--exec"), "--exec: a command, and "),
        (
            (
                *("proxy", "PULL", "PUSH", "--capture-bind", "tcp://*:*"),
                *("--frontend-bind", "tcp://*:*", "--backend-bind", "tcp://*:*"),
            ),
            "need --capture TYPE",
        ),
        (("keygen",), "the following arguments are required: NAME"),
        (("keygen", "x", "--meta", "y"), "--meta: NAME=VALUE, not 'y'"),
        ((*TO, "--conn", "tcp://127.0.0.1:9"), "unrecognized arguments: --conn"),
    ],
)
def test_main__usage_error_is_one_line_and_code_2(capfd, arguments, said):
    done = called(capfd, arguments)
    assert (done.code, done.out) == (2, b"")
    assert done.err.count("\n") == 1 and done.err.startswith("zraw"), done.err
    assert "error: " in done.err and said in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            (*SEND, "--connect", "foo://x"),
            "--connect foo://x: Protocol not supported; ",
        ),
        (
            (*SEND, "--connect", "tcp://x"),
            "--connect tcp://x: Invalid argument; expect",
        ),
        ((*SEND, "--bind", "tcp://no.invalid:5"), "an interface of this machine, or *"),
        (
            (*SEND, "--bind", "ipc:///no/such/folder/s"),
            "--bind ipc:///no/such/folder/s",
        ),
        (
            ("send", "PUSH", "--connect", "ipc://x", "--file", "/no/file"),
            "/no/file: No",
        ),
        (("send", "PUSH", "--connect", "ipc://x", "--file", "/"), "/: Is a directory"),
        (
            (*TO, "-o", "PLAIN_PASSWORD=@/no/file"),
            "/no/file: No such file or directory",
        ),
        ((*TO, "--certificate", "/no/file"), "/no/file: No such file or directory"),
        ((*TO, "--hex"), "message 1: pairs of hexadecimal digits, not 'x'"),
        ((*TO, "--json"), "message 1: a JSON array of strings, not 'x'"),
        (
            ("reply", "REP", "--bind", "tcp://*:*", "--exec", "no-such-program"),
            "--exec: there is no program 'no-such-program'",
        ),
        (("keygen", "/no/folder/x"), "/no/folder/x_secret: No such file or directory"),
        (("keygen", "x", "--meta", "a b=c"), "no name in ZPL: 'a b'"),
        (("keygen", "x", "--meta", "a=\n"), "ZPL cannot have '\\n'"),
    ],
)
def test_main__failure_is_one_line_and_code_1(capfd, arguments, said):
    done = called(capfd, arguments)
    assert (done.code, done.out) == (1, b"")
    assert done.err.count("\n") == 1 and done.err.startswith("zraw: error: "), done.err
    assert said in done.err


def test_main__address_in_use(sock):
    taken = sock(zraw.ZMQ_PULL).bind("tcp://127.0.0.1:*")
    done = run("recv", "PULL", "--bind", taken)
    said = f"zraw: error: --bind {taken}: address already in use\n"
    assert done == Done(1, b"", said)


def test_send__option_reaches_the_socket(sock, tmp_path):
    """An int, bytes as text and in hexadecimal, a string, one of a file."""
    router = sock(zraw.ZMQ_ROUTER)
    there = router.bind(f"ipc://{tmp_path}/s")
    (tmp_path / "name").write_bytes(b"\xfe of a file\n")
    for given, name in [
        ("ZMQ_ROUTING_ID=me", b"me"),
        ("routing_id=0x6d65ff", b"me\xff"),
        (f"ROUTING_ID=@{tmp_path}/name", b"\xfe of a file"),
        ("ROUTING_ID=0xodd", b"0xodd"),
    ]:
        more = ("-o", "SNDHWM=0x10", "-o", "IMMEDIATE=yes", "-o", "ZAP_DOMAIN=x")
        sent = run("send", "DEALER", "x", "--connect", there, "-o", given, *more)
        assert sent == Done(0, b"", "")
        assert router.recv_multipart() == [name, b"x"]


def test_option__names_are_those_of_the_core():
    source = (HERE.parent / "zraw" / "option.pyx").read_text()
    table, _, others = source.partition("cdef dict OPTIONS")
    numbered = set(re.findall(r'^    \(\d+, "(\w+)", ', table, re.MULTILINE))
    of_context = set(re.findall(r'^    \("(\w+)", \d+, ', others, re.MULTILINE))
    # One is an option of sockets in zmq.h, and of contexts in fact; one is of both.
    assert numbered == cli_options.SOCKET | {"BLOCKY"}
    assert of_context == cli_options.CONTEXT | {"IPV6"}
    assert not cli_options.SOCKET & cli_options.CONTEXT


# Those that the command line sets, that are in this libzmq and in its header.
SETTABLE = [
    option
    for option in options.OPTIONS
    if option.present
    and option.name not in {*cli_options.OURS, *cli_options.SECRET}
    and hasattr(zraw, f"ZMQ_{option.name}")
]


@pytest.mark.parametrize("option", SETTABLE, ids=[o.name for o in SETTABLE])
def test_option__good_values_are_taken_as_text(ctx, option):
    """Whatever the table of the tests has, by its name and written down."""
    with ctx.socket(getattr(zraw, f"ZMQ_{option.types[0]}")) as socket:
        for value in option.good:
            if value is None:
                continue
            if isinstance(value, bytes | bytearray | memoryview):
                text = f"0x{bytes(value).hex()}"
            else:
                text = str(int(value)) if isinstance(value, int) else value
            if "w" in option.access:
                cli_options.Option(f"{option.name}={text}").apply(socket)
            if "r" in option.access and option.c_type != "KEY" and text:
                assert socket.getsockopt(option.number) == value
    with pytest.raises(UsageError):
        cli_options.Option(f"{option.name}X=1")


def test_socket_type__every_type_has_a_command():
    assert set(TYPES) == {
        name for c in ("send", "recv", "request", "reply") for name in TAKES[c]
    }
    assert all(len(set(names)) == len(names) for names in TAKES.values())


COMMANDS = ["send", "recv", "request", "reply", "proxy", "monitor", "keygen"]


@pytest.mark.parametrize("command", [*COMMANDS, "info", "perf"])
def test_main__help_of_each_command_has_examples_that_parse(capfd, command):
    done = called(capfd, [command, "--help"])
    assert (done.code, done.err) == (0, "")
    text = done.out.decode()
    assert max(map(len, text.splitlines())) <= 88
    _, examples = text.replace("\\\n", "").split("\nexamples:\n")
    found = examples.strip().splitlines()
    assert len(found) >= (2 if command in COMMANDS else 1)
    parser = cli.build_parser()
    for line in (line.partition(">")[0] for line in found):
        words = subprocess.run(
            ["bash", "-fc", f"printf '%s\\0' {line}"], capture_output=True, check=True
        ).stdout.decode()
        assert parser.parse_args(words.split("\0")[1:-1]).command == command


def test_main__help_tells_the_exit_codes():
    done = run("--help")
    assert re.findall(r"^  (\d+) ", done.out.decode(), re.MULTILINE) == [
        *("0", "1", "2", "124", "130")
    ]


def test_main__help_imports_nothing_slow():
    program = "import sys, zraw.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    slow = {"zraw.perf", "zraw.aio", "asyncio", "difflib", "tempfile", "dataclasses"}
    assert not slow & set(done.stdout.split())


# ---- streams that are closed, full, or not there


def shell(script: str, *arguments: str) -> Done:
    done = subprocess.run(
        ["bash", "-c", script, *ZRAW, *arguments],
        capture_output=True,
        timeout=30,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


RUN = 'unset PYTHONUNBUFFERED; "$0" "$@"'


def test_main__streams_that_are_closed():
    where = ("--bind", "tcp://127.0.0.1:0", "--timeout", "0.1")
    done = shell(f"{RUN} >&-", "recv", "PULL", *where)
    assert done == Done(1, b"", "zraw: error: standard output is closed\n")
    done = shell(f"{RUN} <&-", "send", "PUSH", *where)
    assert done.code == 1 and "standard input is closed; give messages" in done.err
    done = shell(f"{RUN} 2>&-", "recv", "PULL", *where)
    assert done == Done(124, b"", "")
    assert shell(f"{RUN} 2>&-", "send") == Done(2, b"", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", [("info",), ("--help",), ("perf", "--help")])
def test_main__output_that_is_full(command):
    done = shell(f"{RUN} > /dev/full", *command)
    assert done == Done(1, b"", "zraw: error: No space left on device\n")
