"""ipc://: between the processes of a machine. A path, or @ and a name of Linux's.

Who may connect is decided by the permissions of the path.
"""

import os
import stat
import tempfile

import zraw

with tempfile.TemporaryDirectory() as folder, zraw.Context() as ctx:
    pull, push = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PUSH)
    endpoint = pull.bind(f"ipc://{folder}/feed")
    assert stat.S_ISSOCK(os.stat(f"{folder}/feed").st_mode)
    push.connect(endpoint)
    push.send(b"through a file")
    print(pull.recv().decode())
    try:
        pull.bind(f"ipc://{folder}/{'x' * 200}")
    except zraw.ZMQError as error:
        print(os.strerror(error.errno))  # 107 bytes on Linux

# prints:
# through a file
# File name too long
