"""Z85 and CURVE keys."""

from __future__ import annotations

import errno
import random
import string

import pytest

import zraw
from programs import check

WORD = bytes.fromhex("864fd26fb559f75b")  # of rfc.zeromq.org/spec/32
TEXT = "HelloWorld"
ALPHABET = (
    string.digits
    + string.ascii_lowercase
    + string.ascii_uppercase
    + ".-:+=^!/*?&<>()[]{}@%$#"
)
# The client's, in the examples of zmq_curve(7).
PUBLIC = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
SECRET = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"


# ---- Z85


def test_z85_encode__rfc_32():
    assert zraw.z85_encode(WORD) == TEXT
    assert zraw.z85_encode(b"") == ""
    assert zraw.z85_encode(b"\0" * 4) == "00000"
    assert zraw.z85_encode(b"\xff" * 4) == "%nSc0"


def test_z85_decode__rfc_32():
    assert zraw.z85_decode(TEXT) == WORD
    assert zraw.z85_decode(TEXT.encode()) == WORD
    assert zraw.z85_decode("00000") == b"\0" * 4
    assert zraw.z85_decode("%nSc0") == b"\xff" * 4


def test_z85_decode__every_character():
    for value, character in enumerate(ALPHABET):
        assert zraw.z85_decode("0000" + character) == value.to_bytes(4, "big")
        assert zraw.z85_encode(value.to_bytes(4, "big")) == "0000" + character


def test_z85_decode__no_other_character():
    for number in set(range(1, 128)) - set(map(ord, ALPHABET)):
        with pytest.raises(zraw.InvalidArgument) as caught:
            zraw.z85_decode("0000" + chr(number))
        assert caught.value.errno == zraw.errno() == errno.EINVAL
    for byte in range(128, 256):
        with pytest.raises(zraw.InvalidArgument):
            zraw.z85_decode(b"Hell" + bytes([byte]))
    with pytest.raises(zraw.InvalidArgument):
        zraw.z85_decode("Hällo")  # six bytes
    with pytest.raises(zraw.InvalidArgument):
        zraw.z85_decode("Häll")  # five


def test_z85_decode__groups_above_32_bits():
    for group in ("%nSc1", "#####", "#0000", "%nSd0", "%o000"):
        for text in (group, TEXT + group, group + TEXT):
            with pytest.raises(zraw.InvalidArgument) as caught:
                zraw.z85_decode(text)
            assert caught.value.errno == errno.EINVAL


def test_z85_decode__lengths():
    for length in (0, 1, 2, 3, 4, 6, 7, 9, 11, 39, 41):
        with pytest.raises(
            zraw.InvalidArgument, match=r"z85_decode\(\): str"
        ) as caught:
            zraw.z85_decode("0" * length)
        assert caught.value.errno == errno.EINVAL


def test_z85_encode__lengths():
    for length in (1, 2, 3, 5, 6, 7, 9, 31, 33):
        with pytest.raises(zraw.InvalidArgument, match=r"z85_encode\(\): d") as caught:
            zraw.z85_encode(b"x" * length)
        assert caught.value.errno == zraw.errno() == errno.EINVAL


def test_z85_encode__round_trips():
    chance = random.Random(32)
    for length in [4 * n for n in range(1, 40)] + [1 << 20]:
        data = chance.randbytes(length)
        text = zraw.z85_encode(data)
        assert len(text) == length // 4 * 5
        assert set(text) <= set(ALPHABET)
        assert zraw.z85_decode(text) == data
        assert zraw.z85_decode(text.encode()) == data


def test_z85_encode__buffers():
    for data in (bytearray(WORD), memoryview(WORD), zraw.Message(WORD)):
        assert zraw.z85_encode(data) == TEXT
    assert zraw.z85_encode(memoryview(b"xx" + WORD)[2:]) == TEXT
    grows = bytearray(WORD)
    zraw.z85_encode(grows)
    grows += b"x"  # no view is left
    with pytest.raises(zraw.InvalidArgument):
        zraw.z85_encode(grows)
    grows += b"x"
    with pytest.raises(BufferError):
        zraw.z85_encode(memoryview(WORD)[::2])


@pytest.mark.parametrize("wrong", ["text", None, 4, 1.5, [1, 2, 3, 4]])
def test_z85_encode__wrong_types(wrong):
    with pytest.raises(TypeError):
        zraw.z85_encode(wrong)


@pytest.mark.parametrize("wrong", [None, 5, bytearray(b"00000"), memoryview(b"00000")])
def test_z85_decode__wrong_types(wrong):
    with pytest.raises(TypeError, match=r"z85_decode\(\): string: str or bytes"):
        zraw.z85_decode(wrong)


def test_z85_decode__no_nul():
    for text in ("Hello\0World", b"Hello\0", "0000\0"):
        with pytest.raises(ValueError, match=r"z85_decode\(\): string: no NUL"):
            zraw.z85_decode(text)


# ---- CURVE

needs_curve = pytest.mark.skipif(not zraw.has("curve"), reason="libzmq without CURVE")


def test_curve_keypair__by_what_libzmq_has():
    if zraw.has("curve"):
        public, secret = zraw.curve_keypair()
        assert zraw.curve_public(secret) == public
        return
    for call, args in ((zraw.curve_keypair, ()), (zraw.curve_public, (SECRET,))):
        with pytest.raises(zraw.NotSupported) as caught:
            call(*args)
        assert caught.value.errno == errno.ENOTSUP


@needs_curve
def test_curve_keypair__distinct_keys():
    pairs = [zraw.curve_keypair() for _ in range(50)]
    assert len({key for pair in pairs for key in pair}) == 100
    for key in pairs[0]:
        assert type(key) is str
        assert len(key) == 40
        assert len(zraw.z85_decode(key)) == 32


@needs_curve
def test_curve_public__belongs_to_the_secret():
    for _ in range(20):
        public, secret = zraw.curve_keypair()
        assert zraw.curve_public(secret) == public
        assert zraw.curve_public(secret.encode()) == public
    assert zraw.curve_public(SECRET) == PUBLIC


@needs_curve
@pytest.mark.parametrize("length", [0, 5, 35, 39, 41, 45, 100, 10_000])
def test_curve_public__lengths(length):
    """libzmq would read or write beyond its stack."""
    key = (SECRET * 250)[:length]
    for secret in (key, key.encode()):
        with pytest.raises(ValueError, match=rf"secret: 40 characters, not {length}$"):
            zraw.curve_public(secret)


@needs_curve
@pytest.mark.parametrize("position", [0, 20, 39])
def test_curve_public__characters(position):
    key = SECRET[:position] + " " + SECRET[position + 1 :]
    with pytest.raises(zraw.InvalidArgument) as caught:
        zraw.curve_public(key)
    assert caught.value.errno == zraw.errno() == errno.EINVAL
    assert str(caught.value).endswith("curve_public(): secret")


@needs_curve
def test_curve_public__wrong_types():
    for wrong in (None, 40, bytearray(SECRET.encode()), [SECRET]):
        with pytest.raises(TypeError, match=r"curve_public\(\): secret: str or bytes"):
            zraw.curve_public(wrong)
    for text in (SECRET[:39] + "\0", SECRET + "\0", b"\0" * 40):
        with pytest.raises(ValueError, match=r"curve_public\(\): secret: no NUL"):
            zraw.curve_public(text)


@needs_curve
def test_curve_public__no_secret_in_an_exception():
    """Neither in the text nor in what led to it."""
    wrong = [
        SECRET[:39],
        SECRET + "x",
        SECRET[:39] + " ",
        SECRET[:39] + "\0",
        SECRET[:39] + "\ud800",
        SECRET[:39].encode() + b"\xff",
        bytearray(SECRET.encode()),
        [SECRET],
        {"secret": SECRET},
    ]
    for secret in wrong:
        for call in (zraw.curve_public, zraw.z85_decode):
            try:
                call(secret)
            except (ValueError, TypeError, zraw.ZMQError) as error:
                shown = error
            else:
                assert call is zraw.z85_decode
                continue
            while shown is not None:
                assert SECRET[:10] not in f"{shown!r} {shown} {shown.args}"
                assert SECRET[10:20] not in f"{shown!r} {shown} {shown.args}"
                shown = shown.__context__


@needs_curve
@pytest.mark.parametrize("raw", [False, True])
def test_curve_keypair__opens_a_connection(sock, raw):
    server, client = sock(zraw.ZMQ_REP), sock(zraw.ZMQ_REQ)
    (public, secret), (mine, my_secret) = zraw.curve_keypair(), zraw.curve_keypair()
    form = zraw.z85_decode if raw else str
    server.setsockopt(zraw.ZMQ_CURVE_SERVER, 1)
    server.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, form(secret))
    client.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, form(public))
    client.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, form(mine))
    client.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, form(my_secret))
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(b"question")
    assert server.recv() == b"question"
    server.send(b"answer")
    assert client.recv() == b"answer"


@needs_curve
def test_curve_public__makes_the_client_key(sock):
    """A key that does not belong to the secret one is found out by the server."""
    server, client = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PUSH)
    server.setsockopt(zraw.ZMQ_CURVE_SERVER, 1)
    server.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, SECRET)
    _, my_secret = zraw.curve_keypair()
    client.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, zraw.curve_public(SECRET))
    client.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, zraw.curve_public(my_secret))
    client.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, my_secret)
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(b"x")
    assert server.recv() == b"x"
    stranger = sock(zraw.ZMQ_PUSH, IMMEDIATE=1)
    stranger.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, zraw.curve_public(my_secret))
    stranger.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, zraw.curve_public(my_secret))
    stranger.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, my_secret)
    endpoint = server.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    with stranger.monitor(events=zraw.ZMQ_EVENT_CONNECTED) as reader:
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        stranger.connect(endpoint)
        zraw.recv_event(reader)
    assert stranger.poll(50, zraw.ZMQ_POLLOUT) == 0
    assert server.try_recv() is None


@needs_curve
def test_curve_keypair__in_threads_and_a_forked_child():
    check("""
pairs = []
threads = [threading.Thread(target=lambda: pairs.extend(
    zraw.curve_keypair() for _ in range(50))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(write, "".join(zraw.curve_keypair()).encode())
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
theirs = os.read(read, 100).decode()
pairs += [(theirs[:40], theirs[40:]), zraw.curve_keypair()]
assert len({public for public, _ in pairs}) == 202
assert all(zraw.curve_public(secret) == public for public, secret in pairs)
end()
""")
