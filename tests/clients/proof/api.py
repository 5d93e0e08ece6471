"""Calls of the HTTP API, with the standard library's client on a few threads."""

from __future__ import annotations

import asyncio
import http.client
import json
import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .server import Server

THREADS = 4
TIMEOUT_S = 30


@dataclass(frozen=True)
class Answer:
    """A response with its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the body as JSON."""
        return json.loads(self.body)


class Api:
    """A client of the server with persistent connections."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._executor = ThreadPoolExecutor(THREADS)
        self._idle: queue.SimpleQueue[tuple[str, http.client.HTTPConnection]] = queue.SimpleQueue()

    async def call(
        self, method: str, path: str, token: str, body: bytes | None = None, **headers: str,
    ) -> Answer | None:
        """Sends one request. Returns `None` if the connection broke; the server may have handled it nevertheless."""
        address = await self._server.address()
        sent = {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._call, address, method, path, body, sent)

    async def call_until_answered(
        self, method: str, path: str, token: str, body: bytes | None = None, **headers: str,
    ) -> tuple[Answer, bool]:
        """Sends a request until the answer is not `busy`. Returns the answer, and whether the request was repeated."""
        is_repeated = False
        while True:
            answer = await self.call(method, path, token, body, **headers)
            if answer is not None and answer.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                return answer, is_repeated
            is_repeated = True
            await asyncio.sleep(0.05)

    def _call(self, address: str, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer | None:
        connection = self._connection(address)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            return None
        self._idle.put((address, connection))
        return answer

    def _connection(self, address: str) -> http.client.HTTPConnection:
        while True:
            try:
                known, connection = self._idle.get_nowait()
            except queue.Empty:
                return http.client.HTTPConnection(address, timeout=TIMEOUT_S)
            if known == address:
                return connection
            connection.close()
