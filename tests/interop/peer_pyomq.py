"""The peer of peer_pyzmq.py, with pyomq."""

from __future__ import annotations

import pyomq

import peer_pyzmq

peer_pyzmq.main(pyomq, f"pyomq {pyomq.pyomq_version()}, no libzmq")
