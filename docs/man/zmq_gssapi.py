"""GSSAPI: Kerberos. It needs a libzmq built with it, and tickets to talk."""

import zraw

with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_REP) as server:
    if zraw.has("gssapi"):
        server.setsockopt(zraw.ZMQ_GSSAPI_SERVER, True)
        server.setsockopt(zraw.ZMQ_GSSAPI_PRINCIPAL, "weather@EXAMPLE.ORG")
        assert server.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_GSSAPI
        print("server:", server.getsockopt(zraw.ZMQ_GSSAPI_PRINCIPAL))
    else:
        try:
            server.setsockopt(zraw.ZMQ_GSSAPI_SERVER, True)
        except zraw.InvalidArgument:
            print("not in this libzmq")

# prints:
# server: weather@EXAMPLE.ORG
# prints without gssapi:
# not in this libzmq
