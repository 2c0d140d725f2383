"""A process of a benchmark that uses one library; run.py starts it.

python worker.py LIBRARY about
python worker.py LIBRARY serve
python worker.py LIBRARY ROLE ENDPOINT SIZE COUNT MODE BATCH_BYTES
python worker.py ENTRANT aio-ROLE ENDPOINT SIZE COUNT MODE BATCH_BYTES
"""

from __future__ import annotations

import json
import sys

import entrants
import library
import roles
import single


def main(name: str, role: str, *words: str) -> None:
    if role.startswith("aio-"):
        import aio_roles  # for the others, asyncio would be memory and time to start

        aio_roles.play(name, role.removeprefix("aio-"), list(words))
        return
    chosen = library.load(name)
    if role == "about":
        about = chosen.about() | {"python": library.python_version()}
        about["loops"] = " ".join(entrants.loops_here())
        print(json.dumps(about), flush=True)
    elif role == "serve":
        single.serve(chosen)
    else:
        roles.play(chosen, role, list(words))


if __name__ == "__main__":
    main(*sys.argv[1:])
