"""Messages of several frames: whole or not at all, without copies, with envelopes.

    python examples/multipart.py

Plain sockets, one thread, and no waiting for anything but messages.
"""

from __future__ import annotations

import contextlib

import zraw


def several_frames(context: zraw.Context) -> None:
    """One call for a message, however many frames it has."""
    with context.socket(zraw.ZMQ_PUSH) as push, context.socket(zraw.ZMQ_PULL) as pull:
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        push.send_multipart([b"CATS", b"", b"hello, world"])
        print("several frames:", pull.recv_multipart(), flush=True)


def whole_or_not_at_all(context: zraw.Context) -> None:
    """Nothing of a message is to be had before its last frame has come."""
    with context.socket(zraw.ZMQ_PULL) as pull:
        endpoint = pull.bind("inproc://whole")
        with context.socket(zraw.ZMQ_PUSH) as push:
            push.connect(endpoint)
            # Frame by frame, as in C; send_multipart() does it in one go.
            push.send(b"first", zraw.ZMQ_SNDMORE)
            push.send(b"second", zraw.ZMQ_SNDMORE)
            print("two frames sent, received:", pull.try_recv_multipart(), flush=True)
            push.send(b"last")
            print("all three sent, received:", pull.recv_multipart(), flush=True)
            push.send(b"the first frame of two", zraw.ZMQ_SNDMORE)
        with context.socket(zraw.ZMQ_PUSH) as push:
            push.connect(endpoint)
            push.send(b"another message")
            print("a sender gave up, received:", pull.recv_multipart(), flush=True)


def without_a_copy(context: zraw.Context) -> None:
    """A Message is memory: libzmq's to be read, or yours to be sent."""
    picture = bytearray(b"\x80" * 1_000_000)
    with context.socket(zraw.ZMQ_PUSH) as push, context.socket(zraw.ZMQ_PULL) as pull:
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        tracker = zraw.Tracker()
        body = zraw.Message.init_data(picture, tracker=tracker)
        push.send_multipart([b"picture", body])  # libzmq reads from `picture` itself
        name, received = pull.recv_multipart(copy=False)
        with memoryview(received) as pixels:  # where libzmq has put them
            print(
                f"without a copy: {bytes(name).decode()}, {sum(pixels)} in all",
                flush=True,
            )
        tracker.wait()  # from now on `picture` may be changed
        picture[:] = bytes(len(picture))


def envelopes(context: zraw.Context) -> None:
    """A ROUTER puts the sender in front, and sends to whom the first frame names."""
    with (
        context.socket(zraw.ZMQ_ROUTER) as router,
        context.socket(zraw.ZMQ_REQ) as req,
        context.socket(zraw.ZMQ_DEALER) as dealer,
    ):
        endpoint = router.bind("inproc://envelopes")
        req.setsockopt(zraw.ZMQ_ROUTING_ID, b"asker")
        dealer.setsockopt(zraw.ZMQ_ROUTING_ID, b"dealer")
        req.connect(endpoint)
        dealer.connect(endpoint)

        # A REQ writes an empty frame in front of its question, and takes it off the
        # answer: the end of the envelope.  All before it is the way back.
        req.send(b"a question")
        message = router.recv_multipart()
        print("envelope of a REQ:", message, flush=True)
        end = message.index(b"") + 1
        envelope, question = message[:end], message[end:]
        router.send_multipart([*envelope, b"the answer to", *question])
        print("the REQ gets:", req.recv_multipart(), flush=True)

        # A DEALER has no envelope but its name, unless it writes one itself.
        dealer.send_multipart([b"two", b"frames"])
        print("envelope of a DEALER:", router.recv_multipart(), flush=True)


def main() -> None:
    with zraw.Context() as context:
        several_frames(context)
        whole_or_not_at_all(context)
        without_a_copy(context)
        envelopes(context)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
