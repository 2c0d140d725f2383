"""What zraw recv prints, zraw send reads: lines, hexadecimal, JSON, raw bytes."""

from __future__ import annotations

import argparse
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zraw
from cli_tools import ZRAW, Done, run, started
from zraw.cli_errors import CommandError
from zraw.cli_frames import Format, separator

ANY = st.lists(st.binary(max_size=50), min_size=1, max_size=5)


@pytest.fixture
def there(tmp_path):
    return f"ipc://{tmp_path}/s"


@given(frames=ANY)
@pytest.mark.parametrize("kind", ["hex", "json"])
def test_format__hex_and_json_give_back_what_they_were_given(kind, frames):
    form = Format(kind, None)
    record = form.record(frames)
    assert record.count(b"\n") == 1 and record.endswith(b"\n")
    assert form.frames(record[:-1], "") == frames
    assert record.isascii()


@given(frames=ANY, by=st.binary(min_size=1, max_size=2))
def test_format__lines_give_back_what_has_no_separator(frames, by):
    clean = [frame.replace(by[:1], b"").replace(by[-1:], b"") for frame in frames]
    form = Format("lines", by)
    assert form.frames(form.record(clean).removesuffix(b"\n"), "") == clean


@given(record=st.binary(max_size=100))
@pytest.mark.parametrize("kind", ["hex", "json"])
def test_format__nonsense_is_one_complaint(kind, record):
    try:
        frames = Format(kind, None).frames(record, "line 7")
    except CommandError as error:
        assert str(error).startswith("line 7: ") and "\n" not in str(error)
    else:
        assert frames and all(type(frame) is bytes for frame in frames)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (",", b","),
        ("é", "é".encode()),
        (r"\t", b"\t"),
        (r"\0", b"\0"),
        (r"\x1f\n", b"\x1f\n"),
        (r"\x5c", b"\\"),
        (r"\\", b"\\"),
        (r"\\t", rb"\t"),
        (r"\q", rb"\q"),
        (r"\xff\x80", b"\xff\x80"),
    ],
)
def test_separator__escapes(text, data):
    assert separator(text) == data


def test_separator__empty_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="at least one character"):
        separator("")


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ((), b"a\t\xff\n\t\n"),
        (("--separator", "|"), b"a|\xff\n|\n"),
        (("--separator", r"\0"), b"a\0\xff\n\0\n"),
        (("--hex",), b"61 ff0a \n"),
        (("--hex", "--separator", ":"), b"61:ff0a:\n"),
        (("--json",), b'["a", "\\udcff\\n", ""]\n'),
        (("--raw",), b"a\xff\n"),
    ],
)
def test_recv__formats(sock, there, form, printed):
    push = sock(zraw.ZMQ_PUSH)
    push.bind(there)
    with started("recv", "PULL", "--connect", there, "--count", 1, *form) as recv:
        push.send_multipart([b"a", b"\xff\n", b""])
        assert recv.end() == Done(0, printed, "")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (("--separator", "|"), "a|\x01|"),
        (("--separator", "<>"), "a<>\x01<>"),
        (("--hex",), "61 01 "),
        (("--hex", "--separator", ":"), "61:01:"),
        (("--json",), '["a", "\\u0001", ""]'),
    ],
)
def test_send__formats(sock, there, form, message):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    assert run("send", "PUSH", "--connect", there, *form, message) == Done(0, b"", "")
    assert pull.recv_multipart() == [b"a", b"\1", b""]
    line = message.encode() + b"\n"
    assert run("send", "PUSH", "--connect", there, *form, stdin=line).code == 0
    assert pull.recv_multipart() == [b"a", b"\1", b""]


def test_send__nothing_is_split_unasked(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    assert run("send", "PUSH", "--connect", there, "a\tb, c").code == 0
    assert pull.recv_multipart() == [b"a\tb, c"]


def test_send__whole_hex_and_json_may_end_with_a_line(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    to = ("send", "PUSH", "--connect", there, "--whole")
    assert run(*to, "--hex", stdin=b"61 62\n").code == 0
    assert pull.recv_multipart() == [b"a", b"b"]
    assert run(*to, "--json", stdin=b'\n[\n"a",\n"b"\n]\n').code == 0
    assert pull.recv_multipart() == [b"a", b"b"]


@pytest.mark.parametrize("form", ["--hex", "--json"])
def test_recv__prints_what_send_reads(sock, tmp_path, form):
    """Two commands in a pipe pass on any message as it is."""
    first, last = f"ipc://{tmp_path}/1", f"ipc://{tmp_path}/2"
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    push.bind(first)
    pull.bind(last)
    messages = [[b"\n", b"", b"\xff\xed\xa0\x80"], ["é".encode()], [bytes(range(256))]]
    recv = subprocess.Popen(
        [*ZRAW, "recv", "PULL", "--connect", first, "--count", "3", form],
        stdout=subprocess.PIPE,
    )
    with started("send", "PUSH", "--connect", last, form, stdin=recv.stdout) as send:
        recv.stdout.close()
        for message in messages:
            push.send_multipart(message)
        assert [pull.recv_multipart() for _ in messages] == messages
        assert send.end() == Done(0, b"", "")
    assert recv.wait(10) == 0


def test_recv__raw_is_for_files(there, tmp_path):
    data = bytes(range(256)) * 4000
    (tmp_path / "in").write_bytes(data)
    with started("recv", "PULL", "--bind", there, "--raw", "--count", 1) as recv:
        sent = run(
            "send", "PUSH", "--connect", there, "--whole", "--file", tmp_path / "in"
        )
        assert sent == Done(0, b"", "")
        assert recv.end() == Done(0, data, "")
