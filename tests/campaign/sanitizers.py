"""Memory errors: the suite under ASan and UBSan, its core under valgrind.

    python -m tests.campaign sanitizers asan [--jobs N] [-- PYTEST ARGUMENTS]
    python -m tests.campaign sanitizers valgrind [--jobs N] [-- PYTEST ARGUMENTS]

Each builds the working tree in a temporary folder, for the interpreter that runs the
command, and leaves the tree and the installed zraw alone.  It needs that interpreter's
library and headers, gcc with libasan and libubsan, or valgrind.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

from . import ROOT

BARE = ["-p", "no:cacheprovider", "-c", "../pyproject.toml", "--rootdir", ".."]
SANITIZERS = "-fsanitize=address,undefined"
FRAMES = "-g -fno-omit-frame-pointer"

ASAN = {
    # Python keeps much at its end, and its stacks, without frame pointers, do not reach
    # zraw; unwound without them it takes as long as valgrind, which looks for leaks.
    "detect_leaks": "0",
    # malloc() of 4 EiB returns NULL, as it does without ASan: zraw says MemoryError.
    "allocator_may_return_null": "1",
    # Tests preload libraries of their own; those have no malloc() to come before ours.
    "verify_asan_link_order": "0",
    # Locals live on the heap, so that libzmq cannot use one after its function.
    "detect_stack_use_after_return": "1",
    # A string that is given as one ends within its memory, wherever C stops to read.
    "strict_string_checks": "1",
    # A report for a segmentation fault, too: -X faulthandler would take it away.
    "handle_segv": "2",
    "handle_sigbus": "2",
    "handle_sigfpe": "2",
    # Not Python's 1: no test takes it for an exception.
    "exitcode": "99",
}
UBSAN = {
    # Else it only writes a line and goes on.
    "halt_on_error": "1",
    "print_stacktrace": "1",
    "exitcode": "99",
}
# What cannot run under ASan: the test, and why.
EXCLUDED: dict[str, str] = {}

# libubsan keeps to its log_path only if it is told so by a call: libasan's functions of
# the same names come first, and hide its own from itself.
LAUNCHER = """
#define _GNU_SOURCE
#include <Python.h>
#include <dlfcn.h>
int main(int argc, char **argv)
{
    void *ubsan = dlopen("libubsan.so.1", RTLD_NOW | RTLD_NOLOAD);
    void (*set)(const char *) = ubsan ? dlsym(ubsan, "__sanitizer_set_report_path") : 0;
    if (set)
        set(LOGS "/report");
    return Py_BytesMain(argc, argv);
}
"""
# Errors made on purpose, each in a process of its own.
PROBE = """
#include <stdlib.h>
int overflow(volatile int n) { char *p = calloc(n, 1); n = p[n]; free(p); return n; }
int undefined(volatile int n) { return n + 0x7fffffff; }
void leak(volatile int n) { *(volatile char *)malloc(n) = 0; }
"""
ASAN_PROBES = {
    "overflow": "AddressSanitizer: heap-buffer-overflow",
    "undefined": "runtime error: signed integer overflow",
}
MEMCHECK_PROBES = {"overflow": "Invalid read of size 1", "leak": "definitely lost"}
MEMCHECK = [
    "--tool=memcheck",
    "--quiet",
    "--trace-children=yes",
    # No Python: what tests compile with, and what ctypes asks for a library's place.
    "--trace-children-skip=*/cc,*/gcc*,*/ld*,*/as,*/cc1*,*/collect2,*/sh,*/nm,*/objdump",
    "--num-callers=40",
    "--leak-check=full",
    "--show-leak-kinds=definite",
    "--xml=yes",
]
TIMEOUT = 300  # seconds a test, where pyproject.toml has 60
SUPPRESSIONS = Path(__file__).with_suffix(".supp")
# A frame of zraw; and where it does nothing itself, but runs or imports Python.
ZRAW = re.compile(r"/zraw/[^<]*\.so<")
OUTER = re.compile(r"<fn>(_PyEval_EvalFrame\w*|__pyx_pymod_exec_\w+)<")
# Everything takes twenty times as long, and tests have their limits.
PATIENCE = """
import subprocess

for name in ("communicate", "wait"):
    def patient(self, *args, old=getattr(subprocess.Popen, name), **options):
        if options.get("timeout") is not None:
            options["timeout"] *= 20
        return old(self, *args, **options)
    setattr(subprocess.Popen, name, patient)
"""
LEAST, MOST = 300, 400
# The core, by file: what a test's name has to have.
CORE = {
    "context": "ctx_new|ctx_set__(is|takes)|ext|shutdown|term|close|from_handle|exit_l",
    "context_signals": "interrupted",
    "socket": "send__|recv|try|unbind|close|from_handle|poll__tells|req|bind__returns",
    "guard": "many_threads|may_move|shutdown|leave_the_waiting",
    "sending": "frame_by_frame|alternate",
    "batch": "mixed|iterator|twice|views|open|recv|kept|credit|many__s|bad_.*lists-3",
    "batch_signals": "closes|mid_message",
    "message": "",
    "message_properties": "",
    "release": "",
    "release_exit": "forked|fork_|before_exit",
    "polling": "",
    "polling_ppoll": "sockets|time_out|closed",
    "poller": "",
    "poller_lifetime": "user_data|closed|fails|thread_safe|event_keeps|garbage",
    "timers": "execute|cancel__is|set_interval|destroy|cycles",
    "timers_handlers": "from|itself|twice|exception|whatever",
    "atomic_counter": "new|inc|dec|destroy",
    "stopwatch": "",
    "monitor": "order|values|none|second|closing|stays|waits|no_event|many_values",
    "monitor_lifetime": "collected|itself|at_context_close",
    "proxying": "requests|subscriptions|capture|twice|given_back|handlers_run|raises",
    "proxying_steerable": "terminate|capture|statistics",
    "signals": r"(every_call|close_the_socket).*\[(recv_msg|send_pinned)",
    "crypto": "z85_.*(rfc|round|lengths|buffers)|keypair|belongs|client_key",
    "option": "takes_effect|secrets|curve_keys|without_nul|given|in_use",
    "error": "is_read|real|caught",
    "exit": "gets_everything|many_contexts|borrowed",
}
# Nor has it any of these: there is no memory at stake, or it measures time.
NOT_CORE = (
    "refuses_|wrong_arg|bad_(arg|linger)|growth|no_memory|100000|hundreds|thousand"
    "|more_items|views_hold|pickle|many_messages|number_of|with_itself|of_the_body"
    "|equals_any|ends_every|another_thread_m|list_or_tuple|does_not_wait|in_the_order_of"
    "|test_fork__|before_exit|daemon_thread|many_contexts|handles_are_left"
)
# Of allocator_may_return_null.
ALLOWED = re.compile(r"^(==\d+==)?WARNING: \w+ failed to allocate .*\n", re.M)
CALL = "import ctypes, sys; getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])(8)"


def colons(options: dict[str, str]) -> str:
    return ":".join(f"{name}={value}" for name, value in options.items())


class Build:
    """A copy of the tree in a folder, and an environment with the zraw built of it."""

    def __init__(self, folder: Path, flags: str):
        self.folder = folder
        self.flags = flags
        self.tree = folder / "tree"
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.copy()
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        self.compile()
        # What the tests need is where the command's own interpreter has it.
        places = [path for path in site.getsitepackages() if Path(path).is_dir()]
        (self.site / "tests.pth").write_text("\n".join(places) + "\n")

    def copy(self) -> None:
        built = ("build", "*.so", "*.egg-info", "__pycache__", "constants.py*")
        hidden = (".git", ".*_cache", ".venv")
        ignored = shutil.ignore_patterns(*built, *hidden)
        shutil.copytree(ROOT, self.tree, ignore=ignored)
        # -O3 stands behind CFLAGS in the compiler's command, and blurs the reports.
        setup = self.tree / "setup.py"
        text = setup.read_text()
        assert text.count('"-O3"') == 1
        setup.write_text(text.replace('"-O3"', '"-O1"'))

    def compile(self) -> None:
        command = [
            sys.executable,
            "setup.py",
            "-q",
            "build",
            f"--build-lib={self.site}",
        ]
        log = self.folder / "build.log"
        with log.open("w") as output:
            done = subprocess.run(
                [*command, f"--parallel={os.cpu_count() or 1}"],
                cwd=self.tree,
                env={**os.environ, "CFLAGS": self.flags, "LDFLAGS": self.flags},
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise SystemExit(f"the build failed:\n{log.read_text()}")

    def launch(self) -> None:
        """Put a Python in its place that the sanitizers are linked to.

        They have to be there before anything else.  With LD_PRELOAD they would also get
        into the compilers and other programs that tests start, and tests that set it
        would put them out.
        """
        source, target = self.folder / "launcher.c", self.folder / "launcher"
        source.write_text(LAUNCHER)
        variable = sysconfig.get_config_var
        library = variable("LIBDIR")
        command = ["cc", *self.flags.split(), f'-DLOGS="{self.logs}"']
        command += [str(source), "-o", str(target)]
        command += [f"-I{sysconfig.get_path('include')}", f"-L{library}"]
        command += [f"-lpython{variable('LDVERSION')}", f"-Wl,-rpath,{library}"]
        command += ["-Wl,-export-dynamic", *variable("LIBS").split(), "-lm"]
        subprocess.run(command, check=True)
        for path in self.python.parent.glob("python*"):
            path.unlink()
            path.symlink_to(target)

    def pytest(self, environment: dict[str, str], *args: str) -> int:
        """Run tests where the installed zraw is the one of this build."""
        command = [str(self.python), "-m", "pytest", "-q", *BARE, *args]
        return subprocess.run(
            command,
            cwd=self.tree / "tests",
            env={**os.environ, **environment},
            check=False,
        ).returncode


def sanitizer_reports(logs: Path) -> Counter[str]:
    """What the sanitizers wrote, of whatever process."""
    texts = [path.read_text(errors="replace") for path in logs.iterdir()]
    texts = [
        re.sub(r"==\d+==|0x[0-9a-f]+", "", ALLOWED.sub("", text)) for text in texts
    ]
    return Counter(text for text in texts if text.strip())


def probe(
    build: Build,
    command: list[str],
    environment: dict[str, str],
    errors: dict[str, str],
    find: Callable[[Path], Counter[str]],
) -> None:
    """See to it that errors are found, before the tests' silence is believed."""
    source, library = build.folder / "probe.c", build.folder / "zraw" / "probe.so"
    library.parent.mkdir()
    source.write_text(PROBE)
    options = ["-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(["cc", *build.flags.split(), *options], check=True)
    for name, expected in errors.items():
        subprocess.run(
            [*command, "-X", "faulthandler", "-c", CALL, str(library), name],
            env={**os.environ, **environment},
            check=False,
        )
        (report,) = find(build.logs)
        assert expected in report, report
        for path in build.logs.iterdir():
            path.unlink()


def conclude(found: Counter[str], code: int) -> int:
    """Show what was found; anything is a failure, whatever the tests made of it."""
    for text, times in found.most_common():
        print(f"\n=== {times} times\n{text[:5000]}")
    print(f"{sum(found.values())} reports, pytest's exit code {code}")
    return 1 if found else code


def asan(options: argparse.Namespace, folder: Path) -> int:
    """Run the suite with the sanitizers."""
    build = Build(folder, f"{SANITIZERS} {FRAMES}")
    build.launch()
    log = {"log_path": str(build.logs / "report")}
    environment = {
        "ASAN_OPTIONS": colons(ASAN | log),
        "UBSAN_OPTIONS": colons(UBSAN | log),
        # Every object is a block of its own, with red zones and quarantine.
        "PYTHONMALLOC": "malloc",
    }
    probe(build, [str(build.python)], environment, ASAN_PROBES, sanitizer_reports)
    for test, reason in EXCLUDED.items():
        print(f"not run: {test}: {reason}")
    args = [f"--deselect={test}" for test in EXCLUDED]
    args += [f"-n{options.jobs}", f"--timeout={TIMEOUT}", *options.pytest]
    code = build.pytest(environment, *args)
    return conclude(sanitizer_reports(build.logs), code)


def choose(build: Build) -> list[str]:
    """The tests of the core: by file, and by what their ids have and have not.

    Without valgrind, and leaving compiled files to it: that alone takes minutes there.
    """
    files = [f"test_{name}.py" for name in CORE]
    command = [str(build.python), "-m", "pytest", "-q", "--collect-only", *BARE, *files]
    done = subprocess.run(
        command,
        cwd=build.tree / "tests",
        capture_output=True,
        text=True,
        check=True,
    )
    chosen = []
    for line in done.stdout.splitlines():
        if match := re.match(r"(?:tests/)?(test_(\w+)\.py::(test_.*))$", line):
            test, file, name = match.groups()
            if re.search(CORE[file], name) and not re.search(NOT_CORE, test):
                chosen.append(test)
    print(f"{len(chosen)} tests of {len(CORE)} files")
    if not LEAST <= len(chosen) <= MOST:
        raise SystemExit(f"the core is to have {LEAST} to {MOST}: mend CORE")
    missing = set(CORE) - {test.split(".")[0].removeprefix("test_") for test in chosen}
    if missing:
        raise SystemExit(f"no tests of {sorted(missing)}: mend CORE")
    return chosen


def memcheck_errors(logs: Path) -> Counter[str]:
    """What memcheck found, by kind and stack.

    Lost blocks count if zraw asked for them, not Python that it called, nor an import:
    CPython forgets strings of its own.  And a forked child lets go of its parent's
    contexts, for it can neither use nor end them.
    """
    found: Counter[str] = Counter()
    texts = {path.stem: path.read_text(errors="replace") for path in logs.glob("*.xml")}
    programs = {
        process: re.findall(r"<argv>.*?</argv>", text, re.S)
        for process, text in texts.items()
    }
    for process, text in texts.items():
        parent = re.findall(r"<ppid>(\d+)<", text)[0]
        forked = programs.get(parent) == programs[process]
        # Not parsed as XML: that of a process that was killed has no end.
        for error in re.findall(r"<error>.*?</error>", text, re.S):
            if "<kind>Leak_" in error and (forked or not is_lost_by_zraw(error)):
                continue
            lines = [*re.findall("<what>.*<|<text>.*<", error)]
            for frame in re.findall(r"<frame>.*?</frame>", error, re.S):
                part = dict(re.findall(r"<(\w+)>(.*?)<", frame))
                where = f"{part['file']}:{part['line']}" if "line" in part else ""
                lines.append(f"  {part.get('fn')} {where or part.get('obj')}")
            found["\n".join(lines)] += 1
    return found


def is_lost_by_zraw(error: str) -> bool:
    frames = re.findall(r"<frame>.*?</frame>", error, re.S)
    inner = list(takewhile(lambda frame: not OUTER.search(frame), frames))
    importing = any("__pyx_pymod_exec" in frame for frame in frames[len(inner) :][:1])
    return not importing and any(ZRAW.search(frame) for frame in inner)


def valgrind(options: argparse.Namespace, folder: Path) -> int:
    """Run the core under memcheck, with all Python children."""
    build = Build(folder, FRAMES)
    (build.site / "patience.py").write_text(PATIENCE)
    environment = {"PYTHONMALLOC": "malloc"}
    command = ["valgrind", *MEMCHECK, f"--suppressions={SUPPRESSIONS}"]
    command += [f"--xml-file={build.logs}/%p.xml", str(build.python)]
    probe(build, command, environment, MEMCHECK_PROBES, memcheck_errors)
    workers = f"{options.jobs}*popen//python={shlex.join(command)}"
    args = ["-p", "patience", "-d", "--tx", workers, f"--timeout={TIMEOUT}"]
    code = build.pytest(environment, *args, *choose(build), *options.pytest)
    print(f"{len(list(build.logs.iterdir()))} processes under valgrind")
    return conclude(memcheck_errors(build.logs), code)


def main() -> int:
    description = f"{(__doc__ or '').splitlines()[0]}  Behind -- pytest's arguments."
    parser = argparse.ArgumentParser(description=description)
    kinds = {"asan": asan, "valgrind": valgrind}
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--jobs", type=int, default=2, help="tests at a time")
    parser.add_argument("--keep", type=Path, help="a new folder that is not removed")
    args = sys.argv[1:]
    at = args.index("--") if "--" in args else len(args)
    options = parser.parse_args(args[:at])
    options.pytest = args[at + 1 :]
    start = time.monotonic()
    if options.keep:
        options.keep.mkdir(parents=True)
        code = kinds[options.kind](options, options.keep.resolve())
    else:
        with tempfile.TemporaryDirectory(prefix="zraw-") as folder:
            code = kinds[options.kind](options, Path(folder))
    print(f"{options.kind}: {time.monotonic() - start:.0f} s")
    return code
