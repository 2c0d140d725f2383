"""The peer of peer_pyzmq.py, with zraw in a process of its own."""

from __future__ import annotations

from types import SimpleNamespace

import peer_pyzmq
import zraw

names = {name.removeprefix("ZMQ_"): getattr(zraw, name) for name in dir(zraw)}
libzmq = ".".join(map(str, zraw.version()))
peer_pyzmq.main(SimpleNamespace(**names), f"zraw {zraw.__version__}, libzmq {libzmq}")
