"""The command line: python -m zraw."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import zraw
from zraw import cli_commands, cli_info, cli_services
from zraw.cli_errors import CommandError, reason
from zraw.cli_frames import separator

MAX_SIZE = 1 << 30
MAX_COUNT = 10**18
MAX_SECONDS = 2_000_000  # what libzmq's milliseconds can hold

EXIT_CODES = """exit codes:
  0    done
  1    something went wrong, and standard error says what; or nobody reads the output
  2    the command line makes no sense
  124  --timeout is over, or --linger with something unsent
  130  interrupted with Ctrl-C
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and that takes messages between options."""

    def __init__(self, **given: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **given,
        )
        self.mixes = False

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if not status and sys.stdout is not None:
            sys.stdout.flush()  # while somebody looks at errors
        # Before 3.12 argparse would write to what is not there, and lose the status.
        super().exit(status, message if sys.stderr is not None else None)

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if not self.mixes:
            return super().parse_known_args(args, namespace)
        self.mixes = False  # which calls this, perhaps
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixes = True


def number(low: int, high: int, unit: str) -> Callable[[str], int]:
    """Return a type for argparse: an int from low to high."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{low} to {high} {unit}, not {text!r}")
        return value

    return parse


def seconds(text: str) -> float:
    """A type for argparse: seconds, with fractions."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"0 to {MAX_SECONDS} seconds, not {text!r}")
    return value


# ---- what the commands have in common


def add_socket(parser: argparse.ArgumentParser, side: str = "") -> None:
    """Describe a socket: endpoints, options, keys."""
    group = parser.add_argument_group(f"the socket{side and f' {side}'}")
    dashes = f"--{side}-" if side else "--"
    many: dict[str, Any] = {"action": "append", "metavar": "ENDPOINT"}
    group.add_argument(f"{dashes}bind", **many, help="as tcp://*:5555; more than once")
    group.add_argument(
        f"{dashes}connect", **many, help="as tcp://host:5555, ipc:///path"
    )
    group.add_argument(
        *([] if side else ["-o"]),
        f"{dashes}option",
        action="append",
        metavar="NAME=VALUE",
        help="as ZMQ_RCVHWM=10; bytes also as 0xff00; of a file: NAME=@FILE",
    )
    group.add_argument(
        f"{dashes}certificate",
        metavar="FILE",
        help="CURVE: own keys, from FILE_secret; a server, unless it has:",
    )
    group.add_argument(
        f"{dashes}server-key", metavar="FILE", help="CURVE: the server's certificate"
    )
    group.add_argument(
        f"{dashes}allow",
        action="append",
        metavar="PATH",
        help="CURVE: certificates of clients, files or folders; else all are let in",
    )
    group.add_argument(
        f"{dashes}plain", metavar="FILE", help="PLAIN: a line with USER:PASSWORD"
    )
    group.add_argument(
        f"{dashes}plain-server", metavar="FILE", help="PLAIN: those who are let in"
    )


def add_limits(parser: argparse.ArgumentParser, count: str, timeout: str) -> None:
    parser.add_argument(
        "--count", type=number(1, MAX_COUNT, "times"), metavar="N", help=count
    )
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help=timeout)


def add_linger(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--linger",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="at the end, for what is not sent yet; default: 30",
    )


def add_format(parser: argparse.ArgumentParser, raw: bool) -> None:
    kinds = {
        "hex": "hexadecimal, with a space between frames",
        "json": "an array of strings for each message",
    }
    if raw:
        kinds["raw"] = "the bytes, with nothing between and after them"
    group = parser.add_mutually_exclusive_group()
    for name, about in kinds.items():
        group.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, help=about
        )
    parser.add_argument(
        "--separator",
        type=separator,
        metavar="TEXT",
        help="between the frames of a message; \\t \\n \\0 \\x1f are understood; "
        "without it tabs are printed, and nothing is split",
    )


def add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "message", nargs="*", help="else each line of standard input is a message"
    )
    parser.add_argument("--file", metavar="FILE", help="instead of standard input")
    parser.add_argument(
        "--whole", action="store_true", help="all of the input is one message"
    )
    parser.add_argument(
        "--interval",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="from one message to the next",
    )


# ---- the commands


def build_parser() -> Parser:
    """Describe the commands."""
    parser = Parser(
        prog="zraw",
        description="ZeroMQ for Python, nothing in between.",
        epilog=EXIT_CODES,
    )
    parser.add_argument(
        "--version", action="version", version=f"zraw {zraw.__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    def command(name: str, about: str, run: Any, more: str, *examples: str) -> Parser:
        lines = [f"  zraw {name} {example}" for example in examples]
        made: Parser = commands.add_parser(
            name,
            help=about,
            description=textwrap.fill(f"{about[0].upper()}{about[1:]}. {more}", 78),
            epilog="\n".join(["examples:", *lines]),
        )
        made.set_defaults(run=run)
        return made

    add_talkers(command)
    add_services(command)
    add_figures(command)
    return parser


def add_talkers(command: Callable[..., Parser]) -> None:
    """Describe send, recv, request and reply."""
    send = command(
        "send",
        "send messages",
        cli_commands.run_send,
        "A PUB and an XPUB wait for a subscriber, since what nobody has subscribed to "
        "is lost.",
        "PUSH --connect tcp://127.0.0.1:5555 one two three",
        "PUB --bind tcp://*:5556 --count 10 --interval 0.5 tick",
        "PUSH --connect ipc:///tmp/jobs --separator , --file jobs.csv",
    )
    add_type(send)
    add_inputs(send)
    add_format(send, raw=False)
    add_limits(
        send,
        "so many messages; arguments and --whole are repeated",
        "for peers, and for room for each message; default: no limit",
    )
    send.add_argument(
        "--wait-for",
        type=number(0, 1_000_000, "peers"),
        metavar="N",
        help="subscribers or peers, before the first message; "
        "default: 1 for PUB, XPUB and RADIO, else 0",
    )
    send.add_argument("--group", help="of a RADIO; else the first frame is it")
    add_linger(send)
    add_socket(send)

    recv = command(
        "recv",
        "print messages",
        cli_commands.run_recv,
        "What it prints, send can read.",
        "PULL --bind tcp://*:5555",
        "SUB --connect tcp://127.0.0.1:5556 --subscribe weather --count 1",
        "PULL --bind tcp://*:5555 --raw --count 1 --timeout 60 > file",
    )
    add_type(recv)
    add_format(recv, raw=True)
    add_limits(recv, "so many messages", "for each message; default: no limit")
    recv.add_argument(
        "--subscribe",
        action="append",
        metavar="TOPIC",
        help="of SUB and XSUB, more than once; default: everything",
    )
    recv.add_argument("--group", action="append", help="of DISH, more than once")
    add_socket(recv)

    request = command(
        "request",
        "send questions and print the answers",
        cli_commands.run_request,
        "",
        "REQ --connect tcp://127.0.0.1:5557 hello",
        "REQ --connect tcp://127.0.0.1:5557 --timeout 1 --retries 3 hello",
    )
    add_type(request)
    add_inputs(request)
    add_format(request, raw=True)
    add_limits(
        request,
        "so many questions; arguments and --whole are repeated",
        "for each answer; default: no limit",
    )
    request.add_argument(
        "--retries",
        type=number(0, 1_000_000, "times"),
        default=0,
        metavar="N",
        help="ask again, so often, after --timeout; default: 0",
    )
    add_socket(request)

    reply = command(
        "reply",
        "answer questions",
        cli_commands.run_reply,
        "",
        "REP --bind tcp://*:5557 --echo",
        "REP --bind tcp://*:5557 --text 'not today'",
        "REP --bind tcp://*:5557 --exec tr a-z A-Z",
    )
    add_type(reply)
    answers = reply.add_mutually_exclusive_group(required=True)
    answers.add_argument("--echo", action="store_true", help="with the question")
    answers.add_argument("--text", help="with always the same")
    answers.add_argument(
        "--exec",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="with what a command prints, which reads the question; the last option",
    )
    answers.add_argument("--shell", metavar="COMMAND", help="the same, by a shell")
    add_format(reply, raw=True)
    add_limits(reply, "so many questions", "for each question; default: no limit")
    add_linger(reply)
    add_socket(reply)
    for parser in (send, recv, request, reply):
        parser.mixes = True


def add_type(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", metavar="TYPE", help="of socket, as PUSH or ZMQ_PUSH")


def add_services(command: Callable[..., Parser]) -> None:
    """Describe proxy, monitor and keygen."""
    proxy = command(
        "proxy",
        "forward messages between two sockets",
        cli_services.run_proxy,
        "Until Ctrl-C.",
        "ROUTER DEALER --frontend-bind tcp://*:5559 --backend-bind tcp://*:5560",
        "XSUB XPUB --frontend-bind tcp://*:5561 --backend-bind tcp://*:5562 \\\n"
        "      --capture PUB --capture-bind ipc:///tmp/copies",
    )
    proxy.add_argument("frontend", metavar="FRONTEND", help="type of socket")
    proxy.add_argument("backend", metavar="BACKEND", help="type of socket")
    proxy.add_argument(
        "--capture",
        metavar="TYPE",
        help="of a socket that gets a copy of all: PUB, PUSH",
    )
    for side in ("frontend", "backend", "capture"):
        add_socket(proxy, side)
    monitor = command(
        "monitor",
        "print what happens to the connections of a socket",
        cli_services.run_monitor,
        "What it receives is not read.",
        "SUB --connect tcp://127.0.0.1:5556",
        "REP --bind tcp://*:5557 --certificate server --timeout 60",
    )
    add_type(monitor)
    add_limits(monitor, "so many events", "for each event; default: no limit")
    add_socket(monitor)
    keygen = command(
        "keygen",
        "write a pair of CURVE certificates",
        cli_services.run_keygen,
        "NAME is for everybody, NAME_secret for its owner. The public key is printed.",
        "server",
        "--meta 'name=the server' --force keys/server",
    )
    keygen.add_argument("name", metavar="NAME", help="of the files")
    keygen.add_argument(
        "--meta", action="append", metavar="NAME=VALUE", help="about it"
    )
    keygen.add_argument("--force", action="store_true", help="replace what is there")


def add_figures(command: Callable[..., Parser]) -> None:
    """Describe info and perf."""
    command("info", "print versions and capabilities", cli_info.print_info, "", "")
    speed = command(
        "perf",
        "measure throughput and latency",
        cli_info.run_perf,
        "Measure between two processes (inproc: two threads). Alone, print a table "
        "over transports and sizes; thr and lat print what libzmq's own perf tools do.",
        "",
        "thr --transport ipc --size 1024",
        "lat --count 1000",
    )
    speed.add_argument(
        "what",
        nargs="?",
        choices=("thr", "lat"),
        help="thr: messages a second; lat: half a round trip; neither: a table",
    )
    speed.add_argument(
        "--transport",
        choices=("tcp", "ipc", "inproc"),
        help="default: tcp; in the table: all",
    )
    speed.add_argument(
        "--size", type=number(0, MAX_SIZE, "bytes"), help="bytes a message; default: 16"
    )
    speed.add_argument(
        "--count",
        type=number(2, 10**12, "messages"),
        help="messages (thr, default 1000000) or round trips (lat, default 10000)",
    )


def complain(text: str) -> None:
    """Print a line on standard error, if there is one."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


def leave_output() -> None:
    """Write what can be written now; the rest shall be no trouble at exit."""
    if sys.stdout is None:
        return
    with contextlib.suppress(OSError):
        if select.select([], [sys.stdout], [], 0)[1]:
            sys.stdout.flush()
            return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C for the end: argparse fails where it comes between its lines."""
    came: list[int] = []
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    except ValueError:  # not the main thread, where handlers run
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if came:
        raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    code = 1
    try:
        with uninterrupted():
            options = build_parser().parse_args(arguments)
        code = int(options.run(options))
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one asks nobody
        code = 130
        if sys.stderr is not None and sys.stderr.isatty():
            complain("")  # after the terminal's ^C
    except BrokenPipeError:
        code = 1  # whoever read the output has seen enough
    except CommandError as error:
        code = error.code
        complain(f"zraw: error: {error}")
    except (MemoryError, OSError) as error:
        code = 1
        complain(f"zraw: error: {reason(error)}")
    finally:  # argparse's SystemExit, too
        if code:
            leave_output()
    return code
