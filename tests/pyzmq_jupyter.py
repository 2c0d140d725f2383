"""A Jupyter kernel on a backend of pyzmq's, and its client on the same one."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from pathlib import Path

import zmq
from jupyter_client import AsyncKernelManager, BlockingKernelClient, KernelManager
from jupyter_client.threaded import ThreadedKernelClient, ThreadedZMQSocketChannel

from pyzmq_case import EXPECTED, main, until

SECONDS = 20
THREADS = r"""
import threading
def speak(number):
    for i in range(50):
        print(f"{number} {i}\n", end="")
threads = [threading.Thread(target=speak, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
FORKED = r"""
import multiprocessing
def speak(number):
    print(f"child {number}\n", end="")
method = multiprocessing.get_context("fork")
children = [method.Process(target=speak, args=(n,)) for n in range(3)]
for child in children: child.start()
for child in children: child.join(10)
[child.exitcode for child in children]
"""
WAITS = {
    "loop": "print('begun', flush=True)\nwhile True: pass",
    "sleep": "import time; print('begun', flush=True); time.sleep(60)",
    "recv": "print('begun', flush=True); zmq.Context().socket(zmq.PULL).recv()",
    "poll": "print('begun', flush=True); zmq.Context().socket(zmq.PULL).poll()",
}


def main_thread(pid: int) -> tuple[str, ...]:
    """Whether the main thread of a process sleeps, and how often it has begun to."""
    words = ("State:", "voluntary_ctxt_switches:")
    lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
    return tuple(line for line in lines if line.startswith(words))


def interrupt_asleep(manager: KernelManager) -> None:
    """Interrupt a kernel whose cell waits by now.

    In the microseconds before it does, libzmq would not be woken, with any backend.
    """
    for _ in range(SECONDS * 100):
        before = main_thread(manager.provisioner.pid)
        time.sleep(0.05)
        after = main_thread(manager.provisioner.pid)
        if before == after and "S (sleeping)" in after[0]:
            break
    manager.interrupt_kernel()


class Cell:
    """What came of a cell: its output, its result, its error."""

    def __init__(self, client: BlockingKernelClient, code: str, begun=None, **options):
        self.text = {"stdout": "", "stderr": ""}
        self.result = self.error = None
        self.begun = begun
        reply = client.execute_interactive(
            code, output_hook=self.take, timeout=SECONDS, **options
        )
        self.status = reply["content"]["status"]

    def take(self, message: dict) -> None:
        content = message["content"]
        kind = message["msg_type"]
        if kind == "stream":
            self.text[content["name"]] += content["text"]
            if self.begun is not None and "begun" in content["text"]:
                self.begun()
        elif kind == "execute_result":
            self.result = content["data"]["text/plain"]
        elif kind == "error":
            self.error = content["ename"], content["evalue"]

    def has(self, text: str = "", result=None, error=None) -> None:
        """Check that this came, and nothing else."""
        got = self.text["stdout"], self.text["stderr"], self.result, self.error
        assert got == (text, "", result, error), got
        assert self.status == ("error" if error else "ok")


def backend_is_the_same(client: BlockingKernelClient) -> None:
    cell = Cell(client, "import zmq, zmq.backend; zmq.backend.Context.__module__")
    cell.has(result=repr(EXPECTED))


def session() -> None:
    """Cells, interrupts, a restart, and the end."""
    manager = KernelManager(transport="ipc")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(SECONDS)
    backend_is_the_same(client)

    Cell(client, "kept = 41\nprint('hello')\nkept + 1").has("hello\n", "42")
    Cell(client, "kept").has(result="41")
    Cell(client, "1 / 0").has(error=("ZeroDivisionError", "division by zero"))
    Cell(client, "print('x' * 1000000)").has("x" * 1000000 + "\n")
    Cell(client, "!echo from a shell").has("from a shell\r\n")
    Cell(
        client,
        "'<' + input('name? ') + '>'",
        allow_stdin=True,
        stdin_hook=lambda message: client.input(message["content"]["prompt"].upper()),
    ).has(result="'<NAME? >'")

    spoken = Cell(client, THREADS).text["stdout"].splitlines()
    assert sorted(spoken) == sorted(f"{n} {i}" for n in range(4) for i in range(50))
    forked = Cell(client, FORKED)
    assert forked.result == "[0, 0, 0]", vars(forked)
    assert sorted(forked.text["stdout"].split("\n")) == [
        "",
        *(f"child {n}" for n in range(3)),
    ], forked.text

    for name, code in WAITS.items():
        begun = interrupt_asleep if name != "loop" else KernelManager.interrupt_kernel
        cell = Cell(client, code, begun=partial(begun, manager))
        assert cell.error == ("KeyboardInterrupt", ""), (name, cell.error)
        assert cell.status == "error"
        Cell(client, "kept").has(result="41")

    manager.restart_kernel()
    client.wait_for_ready(SECONDS)
    backend_is_the_same(client)
    Cell(client, "kept").has(error=("NameError", "name 'kept' is not defined"))

    client.stop_channels()
    manager.shutdown_kernel()
    assert not manager.is_alive()


def encrypted() -> None:
    """CURVE between the kernel and its client, where Jupyter has it."""
    if "transport_encryption" not in KernelManager.class_traits():
        return
    manager = KernelManager(transport="ipc", transport_encryption="required")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(SECONDS)
    assert client.shell_channel.socket.mechanism == zmq.CURVE
    backend_is_the_same(client)
    Cell(client, "print('x' * 1000000)").has("x" * 1000000 + "\n")
    client.stop_channels()
    manager.shutdown_kernel()
    assert not manager.is_alive()


def killed() -> None:
    """A kernel that dies in a cell is seen to be dead, and started again."""
    manager = KernelManager(transport="ipc")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(SECONDS)
    client.execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    end = time.monotonic() + SECONDS
    while manager.is_alive():
        assert time.monotonic() < end, "it lives"
        time.sleep(0.01)
    manager.restart_kernel(now=True)
    client.wait_for_ready(SECONDS)
    Cell(client, "6 * 7").has(result="42")
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def threaded() -> None:
    """A client whose sockets live on a loop in a thread, as that of a console."""

    class Shell(ThreadedZMQSocketChannel):
        def call_handlers(self, message: dict) -> None:
            if message["msg_type"] == "execute_reply":
                replies.append(message["content"]["status"])

    class IOPub(ThreadedZMQSocketChannel):
        def call_handlers(self, message: dict) -> None:
            if message["content"].get("name") == "stdout":
                texts.append(message["content"]["text"])
            if message["content"].get("execution_state") == "idle":
                idle.append(message["parent_header"].get("msg_id"))

    class Ignored(ThreadedZMQSocketChannel):
        def call_handlers(self, message: dict) -> None:
            pass

    replies: list[str] = []
    texts: list[str] = []
    idle: list[str] = []
    manager = KernelManager(transport="ipc")
    manager.start_kernel()
    client = ThreadedKernelClient(
        shell_channel_class=Shell,
        iopub_channel_class=IOPub,
        stdin_channel_class=Ignored,
        control_channel_class=Ignored,
    )
    client.load_connection_info(manager.get_connection_info())
    client.start_channels()
    until(lambda: client.kernel_info() and idle)
    asked = [client.execute(f"print({i})") for i in range(30)]
    until(lambda: set(asked) <= set(idle) and len(replies) == 30)
    client.iopub_channel.flush()
    assert replies == ["ok"] * 30
    assert "".join(texts) == "".join(f"{i}\n" for i in range(30)), texts
    client.stop_channels()
    manager.shutdown_kernel()
    assert not manager.is_alive()


def several() -> None:
    """Kernels side by side, whose client is asyncio's."""

    async def use(number: int) -> None:
        manager = AsyncKernelManager(transport="ipc", ip=os.path.abspath(f"k{number}"))
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(SECONDS)
        got = []
        for i in range(20):
            reply = await client.execute_interactive(
                f"print({number} * {i})",
                output_hook=lambda message: got.append(message["content"].get("text")),
                timeout=SECONDS,
            )
            assert reply["content"]["status"] == "ok"
        texts = [each for each in got if each is not None]
        assert "".join(texts) == "".join(f"{number * i}\n" for i in range(20)), got
        client.stop_channels()
        await manager.shutdown_kernel()

    async def use_all() -> None:
        await asyncio.wait_for(asyncio.gather(use(2), use(3)), 2 * SECONDS)

    asyncio.run(use_all())


if __name__ == "__main__":
    main(globals())
