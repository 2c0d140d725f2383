"""python -m tests.campaign NAME [ARGUMENTS]; without a name, what there is."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> int:
    folder = Path(__file__).parent
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m tests.campaign {{{','.join(names)}}} ...")
        for name in names:
            module = importlib.import_module(f"tests.campaign.{name}")
            print(f"  {name:<14} {(module.__doc__ or '').splitlines()[0]}")
        return 2
    name = sys.argv.pop(1)
    sys.argv[0] = f"tests.campaign {name}"
    return int(importlib.import_module(f"tests.campaign.{name}").main() or 0)


if __name__ == "__main__":
    sys.exit(main())
