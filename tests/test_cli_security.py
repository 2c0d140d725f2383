"""zraw with CURVE and PLAIN by files, and zraw keygen."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import os
import stat

import pytest

import zraw
from cli_tools import Done, run, started
from zraw import cli_certificates as certificates
from zraw.cli_errors import CommandError

pytestmark = pytest.mark.skipif(
    not (zraw.has("curve") and zraw.has("ipc")), reason="no CURVE, or no ipc"
)
DROPPED = Done(
    124,
    b"",
    "zraw: error: --linger: 0.5 s are over, and what was not sent is dropped\n",
)


def refused(there):
    return Done(1, b"", f"zraw: error: {there} refuses this client: status 400\n")


def refused_or_dropped(done, there):
    """By whether libzmq, here or there, sees first that the mechanisms differ."""
    why = "no common mechanism, or type of socket"
    said = f"zraw: error: {there} refuses this client: {why}\n"
    return done in (DROPPED, Done(1, b"", said))


@pytest.fixture
def there(tmp_path):
    return f"ipc://{tmp_path}/s"


@pytest.fixture
def keys(tmp_path):
    """Certificates of a server and of two clients."""
    for name in ("server", "alice", "mallory"):
        certificates.create(os.fspath(tmp_path / name), {"name": name}, False)
    return tmp_path


# ---- keygen


def test_keygen__writes_two_files_and_prints_the_public_key(tmp_path):
    done = run("keygen", tmp_path / "me", "--meta", "name=it's me", "--meta", "a.b=1")
    assert (done.code, done.err) == (0, "")
    public, secret = certificates.load_pair(os.fspath(tmp_path / "me"))
    assert done.out.decode() == public + "\n"
    assert zraw.curve_public(secret) == public
    assert certificates.load(os.fspath(tmp_path / "me")) == (public, None)
    texts = {name: (tmp_path / name).read_text() for name in ("me", "me_secret")}
    assert secret in texts["me_secret"] and secret not in texts["me"]
    for text in texts.values():
        values = certificates.parse(text)
        assert values["metadata/name"] == "it's me" and values["metadata/a.b"] == "1"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert modes == {"me": 0o644, "me_secret": 0o600}


@pytest.mark.parametrize("there_already", ["me", "me_secret"])
def test_keygen__never_overwrites_without_force(tmp_path, there_already):
    file = tmp_path / there_already
    file.write_text("precious")
    done = run("keygen", tmp_path / "me")
    said = f"zraw: error: {file} is there already; --force replaces it\n"
    assert done == Done(1, b"", said)
    assert [path.name for path in tmp_path.iterdir()] == [there_already]
    assert file.read_text() == "precious"
    file.chmod(0o666)
    done = run("keygen", tmp_path / "me", "--force")
    public, _ = certificates.load_pair(os.fspath(tmp_path / "me"))
    assert done == Done(0, public.encode() + b"\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["me", "me_secret"]
    assert stat.S_IMODE((tmp_path / "me_secret").stat().st_mode) == 0o600


def czmq():
    """czmq as Debian has it, without a compiler."""
    name = ctypes.util.find_library("czmq")
    if name is None:
        return None
    with contextlib.suppress(OSError):
        library = ctypes.CDLL(name)
        for call in ("zcert_load", "zcert_new", "zcert_public_txt", "zcert_secret_txt"):
            getattr(library, call).restype = ctypes.c_void_p
        library.zcert_meta.restype = ctypes.c_void_p
        return library
    return None


CZMQ = czmq()
needs_czmq = pytest.mark.skipif(CZMQ is None, reason="no czmq: apt install libczmq4")


def of_czmq(certificate):
    """Return public key, secret key and name of a zcert."""
    call = CZMQ.zcert_meta(ctypes.c_void_p(certificate), b"name")
    keys = [
        getattr(CZMQ, f"zcert_{which}_txt")(ctypes.c_void_p(certificate))
        for which in ("public", "secret")
    ]
    return [ctypes.string_at(text).decode() for text in (*keys, call)]


@needs_czmq
def test_keygen__is_read_by_czmq(tmp_path):
    assert run("keygen", tmp_path / "me", "--meta", "name=it's me, # 1").code == 0
    path = tmp_path / "me"
    loaded = CZMQ.zcert_load(os.fsencode(path))
    pair = certificates.load_pair(os.fspath(path))
    assert of_czmq(loaded) == [*pair, "it's me, # 1"]


@needs_czmq
def test_certificate__of_czmq_is_read(tmp_path, there):
    made = CZMQ.zcert_new()
    CZMQ.zcert_set_meta(ctypes.c_void_p(made), b"name", b"%s", b"a peer's, # 1")
    path = tmp_path / "me"
    assert CZMQ.zcert_save(ctypes.c_void_p(made), os.fsencode(path)) == 0
    assert [*certificates.load_pair(os.fspath(path)), "a peer's, # 1"] == of_czmq(made)
    with started("recv", "PULL", "--bind", there, "--certificate", path) as recv:
        sent = run("send", "PUSH", "x", "--connect", there, "--server-key", path)
        assert sent == Done(0, b"", "")
        assert recv.line() == b"x\n"


# ---- certificates that are none

KEY, OTHER = "0" * 40, "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
SECRET = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no public-key under curve"),
        (b"\xff", "'utf-8' codec can't decode"),
        (b"curve\n   public-key = 1\n", "line 2 is no ZPL"),
        (b"        deep = 1\n", "line 1 is no ZPL"),
        (b"curve\n    public-key = short\n", "a key has 40 characters of Z85"),
        (f'curve\n    public-key = "{"~" * 40}"\n'.encode(), "40 characters of Z85"),
        (
            f'curve\n    public-key = "{KEY}"\n    secret-key = "{SECRET}"\n'.encode(),
            "the public key does not belong to the secret key",
        ),
    ],
)
def test_certificate__malformed(tmp_path, text, said):
    file = tmp_path / "it"
    file.write_bytes(text)
    with pytest.raises(CommandError) as caught:
        certificates.load(os.fspath(file))
    assert str(caught.value).startswith(f"{file}: no certificate: ")
    assert said in str(caught.value) and SECRET not in str(caught.value)


def test_certificate__without_the_secret_key(tmp_path):
    file = tmp_path / "it"
    file.write_text(f'curve\n    public-key = "{OTHER}"\n')
    done = run("recv", "PULL", "--bind", "tcp://*:*", "--certificate", file)
    said = f"zraw: error: {file}: no secret-key in it, and no {file}_secret\n"
    assert done == Done(1, b"", said)


# ---- CURVE


def test_curve__server_and_client_by_files(keys, there):
    server = ("--bind", there, "--certificate", keys / "server")
    with started("reply", "REP", *server, "--echo"):
        ask = ("request", "REQ", "x", "--connect", there, "--timeout", 20)
        named = ("--server-key", keys / "server")
        assert run(*ask, *named) == Done(0, b"x\n", "")
        mine = ("--certificate", keys / "alice")
        assert run(*ask, *named, *mine) == Done(0, b"x\n", "")
        # The secret file says the same.
        assert run(*ask, "--server-key", keys / "server_secret").out == b"x\n"


def test_curve__plain_sockets_of_zraw_understand_it(sock, keys, there):
    public, secret = certificates.load_pair(os.fspath(keys / "server"))
    pull = sock(zraw.ZMQ_PULL, CURVE_SERVER=True, CURVE_SECRETKEY=secret)
    pull.bind(there)
    to = ("send", "PUSH", "x", "--connect", there, "--server-key", keys / "server")
    assert run(*to).code == 0
    assert pull.recv() == b"x"
    # Whoever takes another's key for the server's, or none, gets nowhere.
    wrong = (*to[:-1], keys / "mallory", "--linger", 0.5)
    assert run(*wrong) == DROPPED
    assert refused_or_dropped(run(*to[:5], "--linger", 0.5), there)
    assert public != certificates.load_public(os.fspath(keys / "mallory"))
    assert pull.try_recv() is None


@pytest.mark.parametrize("allowed", ["alice", "folder"])
def test_curve__server_lets_in_who_is_allowed(keys, there, allowed):
    (keys / "folder").mkdir()
    (keys / "folder" / "alice").write_text((keys / "alice").read_text())
    (keys / "folder" / "x_secret").write_text("not looked at")
    server = (
        "--bind",
        there,
        "--certificate",
        keys / "server",
        "--allow",
        keys / allowed,
    )
    with started("recv", "PULL", *server, "--count", 1) as recv:
        to = ("send", "PUSH", "--connect", there, "--server-key", keys / "server")
        mallory = ("--certificate", keys / "mallory")
        assert run(*to, *mallory, "bad") == refused(there)
        assert run(*to, "anonymous") == refused(there)
        assert run(*to, "--certificate", keys / "alice", "good").code == 0
        assert recv.end() == Done(0, b"good\n", "")


def test_curve__both_sides_of_a_proxy(keys, tmp_path):
    ends = [f"ipc://{tmp_path}/{side}" for side in ("front", "back")]
    names = ("alice", "server")
    sides = [
        word
        for side, end, name in zip(("frontend", "backend"), ends, names, strict=True)
        for word in (f"--{side}-bind", end, f"--{side}-certificate", keys / name)
    ]
    with started("proxy", "PULL", "PUSH", *sides, "--frontend-allow", keys / "mallory"):
        pull = ("recv", "PULL", "--connect", ends[1], "--server-key", keys / "server")
        with started(*pull, "--count", 1) as recv:
            push = ("--connect", ends[0], "--server-key", keys / "alice")
            mine = ("--certificate", keys / "mallory")
            assert run("send", "PUSH", "x", *push, *mine).code == 0
            assert recv.end() == Done(0, b"x\n", "")


# ---- refused while it waits


@pytest.mark.parametrize(
    ("command", "peer"),
    [
        (("send", "PUSH"), "PULL"),
        (("send", "PUSH", "--wait-for", 1, "x"), "PULL"),
        (("send", "PUSH", "--count", 100_000, "x"), "PULL"),
        (("recv", "SUB"), "XPUB"),
        (("request", "REQ", "x"), "REP"),
        (("reply", "REP", "--echo"), "REQ"),
    ],
)
def test_main__client_that_is_refused_does_not_wait_for_ever(
    keys, there, command, peer
):
    server = ("--bind", there, "--certificate", keys / "server")
    with started("monitor", peer, *server, "--allow", keys / "alice"):
        client = (*command, "--connect", there, "--server-key", keys / "server")
        assert run(*client, stdin=b"x\n") == refused(there)


# ---- PLAIN


@pytest.fixture
def users(tmp_path):
    (tmp_path / "users").write_bytes(b"# all\n\nalice:her: word\nbob:\xff\n")
    (tmp_path / "is-alice").write_bytes(b"alice:her: word\n")
    (tmp_path / "is-bob").write_bytes(b"bob:\xff")
    (tmp_path / "is-not-bob").write_bytes(b"bob:nobody knows\n")
    return tmp_path


def test_plain__users_and_passwords_by_files(users, there):
    server = ("--bind", there, "--plain-server", users / "users")
    with started("recv", "PULL", *server, "--count", 2) as recv:
        to = ("send", "PUSH", "--connect", there)
        assert run(*to, "--plain", users / "is-not-bob", "x") == refused(there)
        assert refused_or_dropped(run(*to, "--linger", 0.5, "x"), there)
        assert run(*to, "--plain", users / "is-alice", "1").code == 0
        assert run(*to, "--plain", users / "is-bob", "2").code == 0
        assert recv.end() == Done(0, b"1\n2\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--plain", "{}/users"), 1, "one line with USER:PASSWORD, not 2"),
        (("--plain", "{}/nobody"), 1, "nobody: no line with USER:PASSWORD"),
        (("--plain", "{}/none"), 1, "none: line 1: USER:PASSWORD, each to 255 bytes"),
        (("--plain", "{}/long"), 1, "long: line 1: USER:PASSWORD, each to 255 bytes"),
        (("--plain", "{}/lost"), 1, "lost: No such file or directory"),
        (("--plain", "{}/is-bob", "--plain-server", "{}/users"), 2, "not both"),
        (("--plain", "{}/is-bob", "--server-key", "{}/x"), 2, "CURVE or PLAIN for a"),
        (("--plain-server", "{}/users"), 2, "that chooses its clients has to --bind"),
        (
            ("--allow", "{}/x"),
            2,
            "--allow is for a server of CURVE: with --certificate",
        ),
    ],
)
def test_security__mistakes(users, there, arguments, code, said):
    (users / "nobody").write_text("# nobody\n")
    (users / "none").write_text("secret\n")
    (users / "long").write_text(f"alice:{'secret' * 100}\n")
    given = [argument.format(users) for argument in arguments]
    done = run("send", "PUSH", "x", "--connect", there, *given)
    assert (done.code, done.out) == (code, b"")
    assert done.err.count("\n") == 1 and said in done.err, done.err
    assert "secret" not in done.err
