"""The programs of docs/man/ and the pairs of docs/from-c.md do what they say."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import api_map
import zraw
from conftest import run_child
from zmq_h import compiler_flags

DOCS = Path(__file__).parents[1] / "docs"
PROGRAMS = sorted((DOCS / "man").glob("*.py"))
FUNCTIONS = {*api_map.declared(), *api_map.EXCLUDED}
# Man pages about no single function.
OVERVIEWS = {
    *("zmq", "zmq_poller", "zmq_timers"),
    *("zmq_curve", "zmq_gssapi", "zmq_null", "zmq_plain"),
    *("zmq_inproc", "zmq_ipc", "zmq_pgm", "zmq_tcp", "zmq_tipc", "zmq_udp"),
    *("zmq_vmci", "zmq_vsock"),
}
ENTRIES = api_map.entries()
PRINTS = re.compile(
    r"^# prints(?: without (\w+))?:\n((?:# .*\n)+?)(?=# prints|\Z)", re.MULTILINE
)
BLOCK = re.compile(r"^```(c|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FROM_C = DOCS / "from-c.md"
HEADERS = ("assert", "errno", "pthread", "signal", "stdio", "string", "unistd", "zmq")


def lacks(name: str, program: str) -> bool:
    """Whether libzmq cannot do what a program is about."""
    if name != "drafts":
        return not zraw.has(name)
    since = "0"
    if program in api_map.declared():
        since = api_map.python_names(program, ENTRIES)[0].since or since
    return not zraw.has("draft") or zraw.version() < tuple(map(int, since.split(".")))


def expected(path: Path) -> str:
    """A pattern for what a program says that it prints, with this libzmq."""
    blocks = dict(PRINTS.findall(path.read_text()))
    missing = [name for name in blocks if name and lacks(name, path.stem)]
    text = blocks[missing[0] if missing else ""]
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return "".join(re.escape(line).replace("…", ".*") + "\n" for line in lines)


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run something that must end well, and say nothing but what it prints."""
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=20,
        check=False,
        cwd=Path(__file__).parent,
        env={**os.environ, **(env or {})},
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


# ---- docs/man


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_man__program_prints_what_it_says(path):
    if "curve_" in path.read_text() and not zraw.has("curve"):
        pytest.skip("this libzmq has no CURVE")
    printed = run(sys.executable, "-X", "faulthandler", "-W", "error", path)
    assert re.fullmatch(expected(path), printed), printed


def test_man__nothing_is_missing():
    assert {path.stem for path in PROGRAMS} == FUNCTIONS | OVERVIEWS
    assert not FUNCTIONS & OVERVIEWS


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_man__program_has_the_form(path):
    """A docstring that begins with the page, a few lines, and what they print."""
    tree = ast.parse(path.read_text())
    text = ast.get_docstring(tree) or ""
    if path.stem in FUNCTIONS:
        assert text.startswith((f"{path.stem}(", f"{path.stem},")), text
    code = path.read_text().split("# prints", 1)[0]
    body = code.split('"""')[2].strip().splitlines()
    assert len(text.splitlines()) <= 4 and 2 <= len(body) <= 40
    blocks = [name for name, _ in PRINTS.findall(path.read_text())]
    assert blocks.count("") == 1 and len(blocks) == len(set(blocks)) <= 2
    assert set(blocks) <= {"", "drafts", "gssapi", "pgm"}


def test_man__index_has_every_program():
    """Each once, with the first paragraph of its docstring."""
    wanted = []
    for path in PROGRAMS:
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        first = text.split("\n\n")[0].replace("\n", " ")
        wanted.append(f"| [`{path.stem}`]({path.name}) | {first} |")
    page = (DOCS / "man" / "README.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    assert sorted(rows) == sorted(wanted)


# ---- docs/from-c.md


def pairs() -> list[tuple[str, str]]:
    """The blocks of C, each with the block of Python that follows it."""
    blocks = BLOCK.findall(FROM_C.read_text())
    assert [kind for kind, _ in blocks] == ["c", "python"] * (len(blocks) // 2)
    return [(blocks[n][1], blocks[n + 1][1]) for n in range(0, len(blocks), 2)]


PAIRS = pairs()


def linker_flags() -> list[str]:
    """Where the libzmq is that compiler_flags() has the header of."""
    if prefix := os.environ.get("ZRAW_PREFIX"):
        return [f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-lzmq"]
    return shlex.split(run("pkg-config", "--libs", "libzmq"))


def test_from_c__has_a_dozen_pairs():
    assert len(PAIRS) >= 12
    for in_c, in_python in PAIRS:
        assert "zmq_" in in_c and "printf" in in_c
        assert in_python.startswith("import ")


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_from_c__both_print_the_same(number, tmp_path):
    in_c, in_python = PAIRS[number]
    if "main(" not in in_c:
        in_c = f"int main(void)\n{{\n{in_c}return 0;\n}}\n"
    source, program = tmp_path / "pair.c", tmp_path / "pair"
    source.write_text("".join(f"#include <{name}.h>\n" for name in HEADERS) + in_c)
    flags = ["-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", *compiler_flags()]
    run("cc", *flags, source, "-o", program, *linker_flags(), "-pthread")
    printed = run(program)
    file = tmp_path / "pair.py"
    file.write_text(in_python)
    assert printed
    assert run(sys.executable, "-W", "error", file) == printed


def test_from_c__table_of_errors_is_right():
    """Every class: its errnos, as its docstring has them, and its builtin."""
    rows = re.findall(
        r"^\| (`E[^|]*`) \| `(\w+)` \| `?(\w+)`? \|$", FROM_C.read_text(), re.MULTILINE
    )
    found = {}
    for numbers, name, builtin in rows:
        kind = getattr(zraw, name)
        assert kind.__doc__.startswith(numbers.replace("`", "") + ":"), name
        bases = [base.__name__ for base in kind.__bases__ if base is not zraw.ZMQError]
        assert bases == ([] if builtin == "OSError" else [builtin]), name
        found[name] = kind
    kinds = {name: getattr(zraw, name) for name in zraw.__all__}
    assert {**found, "ZMQError": zraw.ZMQError} == {
        name: kind
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }


# ---- from zraw import *


def test_import_star__brings_what_is_documented_and_nothing_else():
    """Classes and functions with a docstring, ZMQ_... and the errnos of zmq.h."""
    done = run_child("""
        before = {*globals(), "before"}
        from zraw import *
        import inspect, types
        import zraw
        found = {name: value for name, value in globals().items()
                 if name not in before | {"inspect", "types", "zraw"}}
        for name in list(found):
            value = found[name]
            assert value is getattr(zraw, name), name
            assert not isinstance(value, types.ModuleType), name
            if type(value) in (int, str):
                assert name in vars(zraw.constants), name
                assert name.startswith("ZMQ_") or name[0] == "E" == name.upper()[0]
            else:
                assert callable(value) and inspect.getdoc(value), name
        public = {name for name in vars(zraw.constants) if not name.startswith("_")}
        assert public <= set(found)
        assert set(found) == set(zraw.__all__)
        assert len(zraw.__all__) == len(set(zraw.__all__))
        print(*sorted(set(found) - public))
    """)
    assert (done.code, done.err) == (0, ""), done
    listed = set(done.out.split())
    assert not listed & {"errno", "aio", "constants", "socket", "poller", "live_"}
    documented = {
        entry.name for entry in ENTRIES if "." not in entry.name and entry.calls
    }
    # errno() would hide Python's module; it is there as zraw.errno().
    assert documented - listed == {"errno"}
    kinds = {name for name in listed if isinstance(getattr(zraw, name), type)}
    errors = {name for name in kinds if issubclass(getattr(zraw, name), Exception)}
    assert kinds - errors == {
        *("AtomicCounter", "Context", "Message", "MonitorEvent", "MonitorEventV2"),
        *("Poller", "Socket", "Stopwatch", "Timers", "Tracker"),
    }
    assert listed - kinds == {
        *("curve_keypair", "curve_public", "get_include", "get_library", "has"),
        *(
            "live",
            "poll",
            "ppoll",
            "proxy",
            "proxy_steerable",
            "recv_event",
            "recv_event_v2",
        ),
        *("sleep", "strerror", "version", "z85_decode", "z85_encode"),
    }
