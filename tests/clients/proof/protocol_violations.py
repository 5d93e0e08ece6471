"""Violations of RFC 6455 on the live socket, sent over a plain TCP connection, and the expected answers.

Autobahn tests the layer that reads frames; this tests how the live session reacts to its errors.
"""

from __future__ import annotations

import asyncio
import base64
import os
from dataclasses import dataclass

from .report import Report

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80
ANSWER_TIMEOUT_S = 10
#: A length above the maximum of a message.
TOO_LONG = 200 * 1024
MESSAGE = b'{"type":"ping"}'


def frame(first: int, payload: bytes = b"", *, is_masked: bool = True) -> bytes:
    """Returns a client's frame. `first` combines FINAL, reserved bits and opcode."""
    length = len(payload)
    extended = b"" if length < 126 else length.to_bytes(2) if length < 1 << 16 else length.to_bytes(8)
    short = {0: length, 2: 126, 8: 127}[len(extended)]
    if not is_masked:
        return bytes([first, short]) + extended + payload
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([first, 0x80 | short]) + extended + mask + masked


@dataclass(frozen=True)
class Violation:
    """Bytes to send, and the close code that must be the answer."""

    name: str
    sent: bytes
    code: int


VIOLATIONS = [
    Violation("an unknown opcode", frame(FINAL | 0x3, b"x"), 1002),
    Violation("a reserved bit", frame(FINAL | 0x40 | TEXT, MESSAGE), 1002),
    Violation("a frame without a mask", frame(FINAL | TEXT, MESSAGE, is_masked=False), 1002),
    Violation("a ping in fragments", frame(PING, b"x"), 1002),
    Violation("a ping of 126 bytes", frame(FINAL | PING, b"x" * 126), 1002),
    Violation("a continuation of nothing", frame(FINAL, b"x"), 1002),
    Violation("a message within a message", frame(TEXT, b"{") + frame(FINAL | TEXT, MESSAGE), 1002),
    Violation("a reserved close code", frame(FINAL | CLOSE, (1005).to_bytes(2)), 1002),
    Violation("a message of bytes", frame(FINAL | BINARY, MESSAGE), 1003),
    Violation("text that is not UTF-8", frame(FINAL | TEXT, b'{"type":"\xff"}'), 1007),
    Violation("half a character, and not its other half", frame(TEXT, b'"\xe2\x82') + frame(FINAL, b'A"'), 1007),
    Violation("a message that is too long", frame(FINAL | TEXT, b" " * TOO_LONG), 1009),
    Violation("too long in fragments", frame(TEXT, b" " * (TOO_LONG // 2)) + frame(FINAL, b" " * (TOO_LONG // 2)), 1009),
    Violation("a close, which is answered", frame(FINAL | CLOSE, (1000).to_bytes(2) + "grüß".encode()), 1000),
]


class Connection:
    """A WebSocket connection that sends bytes as they are given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, address: str, token: str) -> Connection:
        """Connects and does the WebSocket handshake."""
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /api/v2/live HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"no handshake: {head!r}")
        return cls(reader, writer)

    def send(self, sent: bytes) -> None:
        """Sends bytes as they are."""
        self._writer.write(sent)

    async def receive(self) -> tuple[int, bytes]:
        """Returns opcode and payload of the next frame that is not a heartbeat."""
        while True:
            first, short = await self._reader.readexactly(2)
            length = {126: 2, 127: 8}.get(short)
            size = short if length is None else int.from_bytes(await self._reader.readexactly(length))
            payload = await self._reader.readexactly(size)
            if first & 0xF != PING:
                return first & 0xF, payload

    def close(self) -> None:
        """Aborts the connection."""
        self._writer.transport.abort()


async def check(address: str, token: str, report: Report) -> None:
    """Tries every violation on a connection of its own, and a permitted ping between two fragments."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        for violation in VIOLATIONS:
            connection = await Connection.open(address, token)
            connection.send(violation.sent)
            opcode, payload = await connection.receive()
            code = int.from_bytes(payload[:2])
            if (opcode, code) != (CLOSE, violation.code):
                report.fault(f"{violation.name}: opcode {opcode}, {payload!r}, and not close {violation.code}")
            report.totals["violations of RFC 6455 answered"] += 1
            connection.close()
        connection = await Connection.open(address, token)
        connection.send(frame(TEXT, MESSAGE[:5]) + frame(FINAL | PING, b"between") + frame(FINAL, MESSAGE[5:]))
        answers = [await connection.receive(), await connection.receive()]
        if sorted(answers) != [(TEXT, b'{"type":"pong"}'), (PONG, b"between")]:
            report.fault(f"a ping between the fragments of a message: answered with {answers}")
        connection.close()
