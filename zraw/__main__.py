"""python -m zraw."""

import sys

from zraw.cli import main

if __name__ == "__main__":
    sys.exit(main())
