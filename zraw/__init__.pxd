# For other extensions: from zraw cimport Context, Socket, Message.

from zraw.context cimport Context
from zraw.message cimport Message
from zraw.socket cimport Socket
