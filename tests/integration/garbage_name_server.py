"""
A program: a name server that answers nonsense, of one kind or another.

``python garbage_name_server.py PORT KIND``
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import threading
from collections.abc import Callable

HEADER = struct.Struct("!6H")
RECORD_A = struct.Struct("!HHHIH4s")
POINTER_TO_QUESTION = 0xC00C
#: As many addresses as 64 KiB hold.
ADDRESSES = 4000

chance = random.Random(45)


def reply(query: bytes, flags: int, answers: int = 0, body: bytes = b"") -> bytes:
    """A reply with the question and this after it."""
    header = HEADER.pack(int.from_bytes(query[:2], "big"), flags, 1, answers, 0, 0)
    return header + query[12:] + body


def without_edns(query: bytes) -> bytes:
    """A query up to the end of its question."""
    end = HEADER.size
    while query[end]:
        end += 1 + query[end]
    return query[: end + 5]


def address(number: int) -> bytes:
    """A record with an address where nobody is."""
    ip = bytes([127, 1, number >> 8, number & 255])
    return RECORD_A.pack(POINTER_TO_QUESTION, 1, 1, 1, 4, ip)


def huge(query: bytes, *, stream: bool) -> bytes:
    """As much as there can be, by TCP."""
    if not stream:
        return reply(query, 0x8780)
    wanted_a = query[-4:-2] == b"\0\1"
    count = ADDRESSES if wanted_a else 0
    return reply(query, 0x8580, count, b"".join(map(address, range(count))))


def long_names(query: bytes, *, stream: bool) -> bytes:
    """Names that cost a reader much who takes them as they come."""
    if not stream:
        return reply(query, 0x8780)
    start = len(query)
    name = b"\1a" * 25_000 + b"\0"
    after = struct.pack("!HHIH", 16, 1, 0, 0)
    pointer = struct.pack("!H", 0xC000 | start)
    return reply(query, 0x8580, 900, name + after + (pointer + after) * 899)


def pointer_loop(query: bytes, *, stream: bool) -> bytes:
    """A name whose compression pointer points at itself."""
    loop = struct.pack("!HHHIH", 0xC000 | len(query), 1, 1, 60, 4) + b"\x7f\1\1\1"
    return reply(query, 0x8580, 1, loop)


def wrong_id(query: bytes, *, stream: bool) -> bytes:
    """An answer to another question."""
    other = bytes([query[0] ^ 1, query[1]]) + query[2:]
    return reply(other, 0x8580, 1, address(1))


KINDS: dict[str, Callable[..., bytes]] = {
    "random": lambda query, stream: chance.randbytes(chance.randrange(1, 512)),
    "loop": pointer_loop,
    "wrong-id": wrong_id,
    "huge": huge,
    "long-names": long_names,
    "servfail": lambda query, stream: reply(query, 0x8582),
    "nxdomain": lambda query, stream: reply(query, 0x8583),
    "cut": lambda query, stream: reply(query, 0x8780),
    "silent": lambda query, stream: b"",
}


def serve_streams(listening: socket.socket, answer: Callable[..., bytes]) -> None:
    """Answer by TCP."""
    while True:
        connection, _ = listening.accept()
        with connection:
            query = connection.recv(600)[2:]
            data = answer(query, stream=True) if query else b""
            connection.sendall(struct.pack("!H", len(data)) + data)


def main(port: int, kind: str) -> None:
    """Answer for ever."""
    answer = KINDS[kind]
    listening = socket.create_server(("127.0.0.1", port))
    threading.Thread(
        target=serve_streams, args=(listening, answer), daemon=True
    ).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", port))
        print("ready", flush=True)
        while True:
            query, source = datagrams.recvfrom(600)
            print("asked", flush=True)
            data = answer(without_edns(query), stream=False)
            if data:
                datagrams.sendto(data, source)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
