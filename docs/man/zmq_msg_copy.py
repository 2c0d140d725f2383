"""zmq_msg_copy() is Message.copy(): long bodies are shared, not copied.

Short ones, of up to 33 bytes, are inside the message itself: nothing to share.
"""

import zraw

for text in (b"short", b"long " * 20):
    source, twin = zraw.Message(text), zraw.Message()
    twin.copy(source)
    assert twin == source == text
    print(len(text), "bytes, shared:", twin.get(zraw.ZMQ_SHARED))
    source.close()
    assert twin == text  # whoever is last frees the body
    assert twin.data().readonly

# prints:
# 5 bytes, shared: 0
# 100 bytes, shared: 1
