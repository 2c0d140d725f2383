"""The commands send, recv, request and reply."""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import zraw
from zraw.cli_errors import CommandError, TimeOverError, UsageError
from zraw.cli_frames import Format, Output, chosen_format, inputs
from zraw.cli_sockets import Deadline, Side, opened, say, socket_type
from zraw.cli_talk import Talker, to_wait_for

Answer = Callable[[list[bytes]], list[bytes]]


def turns(count: int | None) -> Iterator[int]:
    return iter(itertools.count() if count is None else range(count))


# ---- send


def run_send(options: argparse.Namespace) -> int:
    """Send each input as a message."""
    kind = socket_type("send", options.type)
    if options.group is not None and kind != "RADIO":
        raise UsageError(f"--group is for RADIO, not {kind}")
    side = Side(options, kind)
    number = to_wait_for(options.wait_for, side)
    messages = inputs(options, chosen_format(options))
    if kind == "PUB" and number:
        side.name = "XPUB"  # which sees who subscribes, and is the same to a SUB
    publishes = side.name == "XPUB"
    with opened(options, side) as context:
        talker = Talker(context, side, watched=bool(number and not publishes))
        deadline = Deadline(options.timeout)
        if publishes:
            talker.wait_for_subscribers(number, deadline)
        elif number:
            talker.wait_for_peers(number, deadline)
        for frames in at_intervals(shown(messages, options), options.interval):
            talker.send(frames, options.timeout, group=options.group)
            if publishes:
                talker.discard()
        talker.end(options.linger)
    return 0


def at_intervals(
    messages: Iterator[list[bytes]], seconds: float
) -> Iterator[list[bytes]]:
    """Give out the next one when its time has come."""
    due = time.monotonic()
    for number, frames in enumerate(messages):
        if number and seconds:
            # By the clock, not by the end of the last one: no drift, and no rush
            # after a halt.
            due = max(due + seconds, time.monotonic() - seconds)
            time.sleep(max(due - time.monotonic(), 0))
        yield frames


def shown(
    messages: Iterator[list[bytes]], options: argparse.Namespace
) -> Iterator[list[bytes]]:
    """The same, with a bar on a terminal where it is known how many there are."""
    total = options.count or len(options.message)
    if sys.stderr is None or not sys.stderr.isatty() or total < 2:
        yield from messages
        return
    from zraw.perf import Progress

    bar = Progress(total)
    next_look = time.monotonic() + 0.5  # what is soon over needs no bar
    try:
        for number, frames in enumerate(messages):
            yield frames
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + 0.1
                bar.done = number + 1
                bar.step("messages")
    finally:
        bar.clear()


# ---- recv


def run_recv(options: argparse.Namespace) -> int:
    """Print each message."""
    kind = socket_type("recv", options.type)
    if kind == "DISH" and not options.group:
        raise UsageError("DISH needs --group, at least one")
    if options.group and kind != "DISH":
        raise UsageError(f"--group is for DISH, not {kind}")
    side = Side(options, kind)
    output = Output(chosen_format(options))
    with opened(options, side) as context:
        talker = Talker(context, side)
        for _ in turns(options.count):
            frames, _ = talker.receive(options.timeout, output)
            output.write(frames)
        output.flush()
    return 0


# ---- request


class Asker:
    """A socket that asks; it is replaced when no answer comes."""

    def __init__(self, context: zraw.Context, side: Side, seconds: float | None):
        self.context, self.side, self.seconds = context, side, seconds
        self.talker = Talker(context, side)

    def ask(self, question: list[bytes], retries: int, output: Output) -> list[bytes]:
        """Return the answer.

        A socket that was left alone waits for its answer for ever, or takes an old one
        for the next question: the next try has another.
        """
        for left in range(retries, -1, -1):
            try:
                return self.ask_once(question, output)
            except TimeOverError:
                if not left:
                    raise
                say(f"no answer in {self.seconds:g} s; asking again")
                self.talker.socket.close(linger=0)
                self.talker = Talker(self.context, self.side)
        raise AssertionError("the last try returns or raises")

    def ask_once(self, question: list[bytes], output: Output) -> list[bytes]:
        envelope = [b""] if self.side.name == "DEALER" else []
        self.talker.send(envelope + question, self.seconds)
        answer, _ = self.talker.receive(self.seconds, output)
        if envelope and answer[:1] == envelope:
            return answer[1:]
        return answer


def run_request(options: argparse.Namespace) -> int:
    """Send each input, and print its answer."""
    kind = socket_type("request", options.type)
    if options.retries and options.timeout is None:
        raise UsageError("--retries needs --timeout")
    side = Side(options, kind)
    form = chosen_format(options)
    output = Output(form)
    questions = inputs(options, form)
    with opened(options, side) as context:
        asker = Asker(context, side, options.timeout)
        for question in at_intervals(questions, options.interval):
            output.write(asker.ask(question, options.retries, output))
            output.flush()  # the next question may take its time
    return 0


# ---- reply


def run_reply(options: argparse.Namespace) -> int:
    """Answer each question."""
    kind = socket_type("reply", options.type)
    side = Side(options, kind)
    answer = chosen_answer(options, chosen_format(options))
    with opened(options, side) as context:
        talker = Talker(context, side)
        for _ in turns(options.count):
            frames, peer = talker.receive(options.timeout)
            start = envelope_length(frames) if kind == "ROUTER" else 0
            reply = frames[:start] + answer(frames[start:])
            talker.send(reply, options.timeout, routing_id=peer)
        talker.end(options.linger)
    return 0


def envelope_length(frames: list[bytes]) -> int:
    """Count the frames that say whose question it is: to an empty one, or the name."""
    try:
        return frames.index(b"", 1) + 1
    except ValueError:
        return 1


def chosen_answer(options: argparse.Namespace, form: Format) -> Answer:
    if options.text is not None:
        fixed = form.frames(os.fsencode(options.text), "--text")
        return lambda question: fixed
    if options.exec is None and options.shell is None:
        return lambda question: question
    if options.shell is not None:
        return Program(options.shell, True, form)
    if not options.exec:
        raise UsageError("--exec: a command, and its arguments")
    if shutil.which(options.exec[0]) is None:
        raise CommandError(f"--exec: there is no program {options.exec[0]!r}")
    return Program(options.exec, False, form)


class Program:
    """A command that is given a question as `recv` prints it, and prints the answer."""

    def __init__(self, command: str | list[str], shell: bool, form: Format) -> None:
        self.command, self.shell, self.form = command, shell, form

    def __call__(self, question: list[bytes]) -> list[bytes]:
        done = subprocess.run(
            self.command,
            shell=self.shell,
            input=self.form.record(question),
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            say(f"the command ended with {done.returncode}")
        said = done.stdout
        if self.form.kind != "raw":
            said = said.removesuffix(b"\n")
        return self.form.frames(said, "what the command printed")
