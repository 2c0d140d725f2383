"""The long attacks on zraw, each one documented command.

    python -m tests.campaign faults

What they find becomes a test beside them; their last figures stand in
docs/reliability.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"

# The tests' own modules, and the zraw that is installed rather than its sources.
sys.path = [path for path in sys.path if Path(path or ".").resolve() != ROOT]
sys.path.insert(0, str(TESTS))
