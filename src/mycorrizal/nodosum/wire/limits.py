# -*- test-case-name: tests.nodosum.wire -*-
"""
Protocol numbers and bounds, each bound with its reason.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

#: First four bytes of each HELLO, VERSION_I and VERSION_R.
MAGIC = b"MYCO"
#: The protocol versions we speak.
VERSION_MIN = 1
VERSION_MAX = 1
#: The port when an address names none; TCP and UDP alike.
DEFAULT_PORT = 6969

#: Version byte of a frame; stays 1 until after AUTH for ever.
FRAME_VERSION = 1
#: Largest body of any frame but a CHUNK: what is longer travels in pieces, so
#: that nothing waits long behind it.
PLAIN_BYTES_MAX = 64 * 1024
#: Bytes of a message in one CHUNK, unless the peer allows less.
CHUNK_BYTES_MAX = 64 * 1024
#: Largest body of a CHUNK that we take.
FRAME_BYTES_MAX = 1024 * 1024
#: No peer may ask for smaller frames than this: each plain one must fit.
FRAME_BYTES_MIN = PLAIN_BYTES_MAX
#: Largest message, as it is sent and when it is inflated.
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
#: Messages of one link and direction that may be under way in chunks at once,
#: and what they may have in all: the receiving side keeps them until they are
#: complete.
OPEN_MESSAGES_MAX = 16
OPEN_BYTES_MAX = 128 * 1024 * 1024
#: Largest frame before AUTH: VERSION_I, the longest, has 128 bytes in all.
#: The second frame of a side, good or bad, ends its handshake, so that twice
#: this is also all that a stranger is listened to, outside TLS's own bytes.
UNAUTHENTICATED_FRAME_BYTES_MAX = 256
#: Bytes a stranger may send in all before AUTH when TLS is on: a handshake
#: takes about 2 KiB, with a chain of certificates perhaps 20.
UNAUTHENTICATED_TLS_BYTES_MAX = 64 * 1024

#: Unauthenticated sockets at once, in all: they cost memory, nothing else.
UNAUTHENTICATED_SOCKETS_MAX = 128
#: The same for one address without a valid ticket; one more closes the oldest.
UNAUTHENTICATED_SOCKETS_PER_ADDRESS_MAX = 32
#: TLS handshakes at once: each costs about a millisecond of CPU.
TLS_HANDSHAKES_MAX = 16
#: Entries of any table that strangers can grow.
STRANGER_TABLE_MAX = 4096
#: Answers to HELLOs per second and address.
HELLO_ANSWERS_PER_SECOND = 500

#: No incarnation follows this one: it travels in 64 bits.
INCARNATION_MAX = 2**64 - 1
#: An application's id: what fits in a log line and a metric label.
APPLICATION_ID_BYTES_MAX = 64
#: Node ids, host names, labels' keys and values.
NAME_BYTES_MAX = 128
#: Labels of one node.
LABELS_MAX = 32
#: Bytes of all names and texts of one node's labels.  A node keeps those of all
#: peers that it remembers, dead ones included: 8 MiB of 4,096 peers.
LABELS_BYTES_MAX = 2048
#: Peers named in one WELCOME or PEERS frame.
PEERS_PER_FRAME_MAX = 512
#: Addresses named for one peer.
ADDRESSES_PER_PEER_MAX = 16
#: Free text in GOODBYE, REJECT and ERROR frames.
REASON_BYTES_MAX = 1024


class FrameType(IntEnum):
    """The type byte of a frame."""

    VERSION_I = 1
    VERSION_R = 2
    AUTH_I = 3
    AUTH_R = 4
    REJECT = 5
    WELCOME = 6
    PEERS = 7
    SYSTEM = 8
    APP = 9
    REQUEST = 10
    REPLY = 11
    ERROR = 12
    PING = 13
    PONG = 14
    GOODBYE = 15
    CHUNK = 16
    CANCEL = 17
    RENEW = 18
    READY = 19
    MOVED = 20
    TRACE = 0x81


#: A receiver that does not know a type with this bit set ignores the frame.
IGNORABLE_BIT = 0x80
#: The payload is compressed, in the way that the link has agreed on.
COMPRESSED_BIT = 0x40
#: Only these types and those after them may be compressed, or cut into chunks.
WHOLE_TYPE_MIN = FrameType.SYSTEM


class Feature(IntFlag):
    """What a side offers in its VERSION frame; in force is what both offer."""

    ZSTD = 1
    ZLIB = 2
    RENEWAL = 4


class RejectCode(IntEnum):
    """Why a handshake was refused."""

    VERSION = 1
    REFUSED = 2
    TLS = 3
    BUSY = 4


class Goodbye(IntEnum):
    """Why a link is closed in good order."""

    LEAVING = 1
    DUPLICATE_LINK = 2
    DUPLICATE_ID = 3
    STALE_INCARNATION = 4
    SELF = 5
    SINGLE = 6
    BUSY = 7
    IDLE = 8
    RESTARTED = 9


class ErrorCode(IntEnum):
    """Why a REQUEST got no REPLY."""

    UNKNOWN_APPLICATION = 1
    BUSY = 2
    FAILED = 3
    NO_FUNCTION = 4
