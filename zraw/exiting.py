"""Have at_exit() called at the end of every kind of process."""

import atexit
import os
import sys

from zraw.context import at_exit


def at_end_of_child():
    """at_exit() for a child of multiprocessing, which that ends by os._exit()."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()  # as everywhere, its threads end first
    at_exit()


def tell_multiprocessing():
    """Have it call at_end_of_child(), if it is there.

    A child forgets all finalizers when it begins, and only then calls what is
    registered here; if it has begun already, it forgets none.
    """

    def finalize(call):
        util.Finalize(None, call, exitpriority=-1000)

    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None:
        util.register_after_fork(at_end_of_child, finalize)
        if process.parent_process() is not None:
            finalize(at_end_of_child)


atexit.register(at_exit)
tell_multiprocessing()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=tell_multiprocessing)
