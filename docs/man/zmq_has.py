"""zmq_has() is zraw.has(): what libzmq was built with; an unknown name is False."""

import zraw

capabilities = ("ipc", "tipc", "pgm", "norm", "curve", "gssapi", "draft", "WS", "WSS")
at_hand = [name for name in capabilities if zraw.has(name)]
assert not zraw.has("carrier pigeons")
print("ipc is", "here" if "ipc" in at_hand else "missing")

# prints:
# ipc is here
