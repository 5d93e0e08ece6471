"""The two groups of followers, in Python and in Node, with one interface."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .canonical import canonical
from .callers import Caller
from .follower import GROUP, Follower
from .frame_checks import FrameChecks
from .server import Server
from .tokens import Minter

#: For each (caller, user): the revision to reach, or `None` if the user must not be visible.
Goals = Mapping[tuple[str, str], int | None]
#: For each (caller, user): the canonical form of what is held.
HeldDocuments = dict[tuple[str, str], str | None]


class ClientGroup(Protocol):
    """The followers that are written in one language."""

    name: str

    async def begin(self) -> None:
        """Starts all followers."""

    async def server_is_at(self, address: str) -> None:
        """Announces the address on which the server listens now."""

    async def rest(self, is_resting: bool) -> None:
        """Stops or resumes voluntary disconnects and lost patches."""

    async def withdrawn(self, user: str, revision: int) -> None:
        """Announces a consent change. After the answer to a ping sent now, no frame may be older."""

    async def reach(self, goals: Goals, timeout_s: float) -> HeldDocuments:
        """Waits until every goal is reached or the time is up, and returns what the followers hold."""

    async def end(self) -> None:
        """Ends all followers."""


class PythonClients:
    """The followers in this process."""

    name = GROUP

    def __init__(self, callers: list[Caller], checks: FrameChecks, server: Server, minter: Minter, seed: str) -> None:
        self.followers = {caller.name: Follower(caller, checks, server, minter, seed) for caller in callers}
        self._checks = checks
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def begin(self) -> None:
        for follower in self.followers.values():
            follower.changed = self._changed
            self._tasks.append(asyncio.create_task(follower.run()))

    async def server_is_at(self, address: str) -> None:
        """Does nothing: the followers ask `Server` for the address."""

    async def rest(self, is_resting: bool) -> None:
        for follower in self.followers.values():
            await follower.rest(is_resting)

    async def withdrawn(self, user: str, revision: int) -> None:
        for follower in self.followers.values():
            await follower.withdrawn(user, revision)

    async def reach(self, goals: Goals, timeout_s: float) -> HeldDocuments:
        missing = dict(goals)
        try:
            async with asyncio.timeout(timeout_s):
                while missing := {key: goal for key, goal in missing.items() if self._revision(*key) != goal}:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        return {key: self._text(*key) for key in goals}

    async def end(self) -> None:
        for task in self._tasks:
            if task.done():
                self._checks.report.fault(f"a follower ended: {task.exception()!r}")
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def profile(self, caller: str, user: str) -> dict[str, Any] | None:
        """Returns the document that a follower holds."""
        return self.followers[caller].users[user].document.profile

    def _revision(self, caller: str, user: str) -> int | None:
        profile = self.profile(caller, user)
        return None if profile is None else profile["revision"]

    def _text(self, caller: str, user: str) -> str | None:
        profile = self.profile(caller, user)
        return None if profile is None else canonical(profile)


class NodeClients:
    """The followers in a Node process, controlled over its pipes.

    Each line that the process prints is a JSON object. For a received frame it is: caller, held leaves as JSON, and
    the frame's text, separated by tabs.
    """

    name = "node"

    def __init__(self, callers: list[Caller], checks: FrameChecks, server: Server, minter: Minter, seed: str) -> None:
        self._callers, self._checks, self._server, self._minter, self._seed = callers, checks, server, minter, seed
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._held: asyncio.Future[HeldDocuments] | None = None

    async def begin(self) -> None:
        script = Path(__file__).parent.parent / "node" / "main.js"
        self._process = await asyncio.create_subprocess_exec(
            "node", script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=dict(os.environ),
            limit=64 << 20,
        )
        self._reader = asyncio.create_task(self._read_messages())
        await self._send({
            "do": "begin", "seed": self._seed, "secret": base64.b64encode(self._minter.secret).decode(),
            "clockOffsetS": self._server.clock_offset_s, "callers": [caller.as_dict() for caller in self._callers],
        })
        await self.server_is_at(await self._server.address())

    async def server_is_at(self, address: str) -> None:
        await self._send({"do": "connect", "address": address})

    async def rest(self, is_resting: bool) -> None:
        await self._send({"do": "rest", "isResting": is_resting})

    async def withdrawn(self, user: str, revision: int) -> None:
        await self._send({"do": "withdrawn", "user": user, "revision": revision})

    async def reach(self, goals: Goals, timeout_s: float) -> HeldDocuments:
        self._held = asyncio.get_running_loop().create_future()
        entries = [[caller, user, revision] for (caller, user), revision in goals.items()]
        await self._send({"do": "reach", "goals": entries, "timeoutS": timeout_s})
        return await self._held

    async def end(self) -> None:
        if self._process is not None and self._reader is not None:
            await self._send({"do": "end"})
            await self._reader
            if status := await self._process.wait():
                self._checks.report.fault(f"the node followers ended with {status}")

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()

    async def _read_messages(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"{"):
                self._on_message(json.loads(line))
            else:
                caller, held, frame = line.decode().split("\t", 2)
                self._checks.check_frame(self.name, caller, json.loads(frame), set(json.loads(held)))
        if self._held is not None and not self._held.done():
            self._held.set_exception(RuntimeError("the node followers ended"))

    def _on_message(self, message: dict[str, Any]) -> None:
        match message:
            case {"fault": text}:
                self._checks.report.fault(f"node, {text}")
            case {"completeness": frame, "caller": caller, "revision": revision}:
                self._checks.check_completeness(self.name, caller, frame, revision)
            case {"held": held, "counts": counts}:
                self._checks.report.groups[self.name].update(counts)
                assert self._held is not None
                self._held.set_result({(caller, user): text for caller, user, text in held})
            case _:
                self._checks.report.fault(f"unexpected message of the node process: {message}")
