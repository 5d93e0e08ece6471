"""The two crews of followers behind one face: what the run tells them, and what it asks of them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .canonical import canonical
from .cast import Caller
from .desk import Desk
from .follower import CREW, Follower
from .server import Server
from .tokens import Minter

#: For each (caller, user): the revision to reach, or `None` where nothing may be held.
Goals = Mapping[tuple[str, str], int | None]
#: For each (caller, user): the canonical form of what is held.
Held = dict[tuple[str, str], str | None]


class Crew(Protocol):
    """Followers of one language."""

    name: str

    async def begin(self) -> None:
        """Lets everybody follow."""

    async def server_is_at(self, address: str) -> None:
        """The server listens there now."""

    async def rest(self, is_resting: bool) -> None:
        """Lets nobody leave of their own will."""

    async def withdrawn(self, user: str, revision: int) -> None:
        """A consent changed: nothing older may be shown behind the next answer."""

    async def reach(self, goals: Goals, timeout_s: float) -> Held:
        """Waits until everybody holds what they are to hold, at most so long, and says what they hold."""

    async def end(self) -> None:
        """Lets nobody follow any more."""


class PythonCrew:
    """The followers of this process."""

    name = CREW

    def __init__(self, callers: list[Caller], desk: Desk, server: Server, minter: Minter, seed: str) -> None:
        self.followers = {caller.name: Follower(caller, desk, server, minter, seed) for caller in callers}
        self._desk = desk
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def begin(self) -> None:
        for follower in self.followers.values():
            follower.changed = self._changed
            self._tasks.append(asyncio.create_task(follower.run()))

    async def server_is_at(self, address: str) -> None:
        """They ask the server themselves."""

    async def rest(self, is_resting: bool) -> None:
        for follower in self.followers.values():
            await follower.rest(is_resting)

    async def withdrawn(self, user: str, revision: int) -> None:
        for follower in self.followers.values():
            await follower.withdrawn(user, revision)

    async def reach(self, goals: Goals, timeout_s: float) -> Held:
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
                self._desk.report.fault(f"a follower ended: {task.exception()!r}")
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def profile(self, caller: str, user: str) -> dict[str, Any] | None:
        """What a follower holds."""
        return self.followers[caller].users[user].document.profile

    def _revision(self, caller: str, user: str) -> int | None:
        profile = self.profile(caller, user)
        return None if profile is None else profile["revision"]

    def _text(self, caller: str, user: str) -> str | None:
        profile = self.profile(caller, user)
        return None if profile is None else canonical(profile)


class NodeCrew:
    """The followers of a Node process, spoken to over its pipes.

    Each line that it says is a JSON object, or, for a frame that came: caller, held leaves as JSON, and the frame's
    own text, between tabs.
    """

    name = "node"

    def __init__(self, callers: list[Caller], desk: Desk, server: Server, minter: Minter, seed: str) -> None:
        self._callers, self._desk, self._server, self._minter, self._seed = callers, desk, server, minter, seed
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._held: asyncio.Future[Held] | None = None

    async def begin(self) -> None:
        script = Path(__file__).parent.parent / "node" / "main.js"
        self._process = await asyncio.create_subprocess_exec(
            "node", script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=dict(os.environ),
            limit=64 << 20,
        )
        self._listener = asyncio.create_task(self._listen())
        await self._tell({
            "do": "begin", "seed": self._seed, "secret": base64.b64encode(self._minter.secret).decode(),
            "clockOffsetS": self._server.clock_offset_s, "callers": [caller.plain() for caller in self._callers],
        })
        await self.server_is_at(await self._server.address())

    async def server_is_at(self, address: str) -> None:
        await self._tell({"do": "connect", "address": address})

    async def rest(self, is_resting: bool) -> None:
        await self._tell({"do": "rest", "isResting": is_resting})

    async def withdrawn(self, user: str, revision: int) -> None:
        await self._tell({"do": "withdrawn", "user": user, "revision": revision})

    async def reach(self, goals: Goals, timeout_s: float) -> Held:
        self._held = asyncio.get_running_loop().create_future()
        entries = [[caller, user, revision] for (caller, user), revision in goals.items()]
        await self._tell({"do": "reach", "goals": entries, "timeoutS": timeout_s})
        return await self._held

    async def end(self) -> None:
        if self._process is not None and self._listener is not None:
            await self._tell({"do": "end"})
            await self._listener
            if status := await self._process.wait():
                self._desk.report.fault(f"the node followers ended with {status}")

    async def _tell(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()

    async def _listen(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"{"):
                self._hear(json.loads(line))
            else:
                caller, held, frame = line.decode().split("\t", 2)
                self._desk.saw(self.name, caller, json.loads(frame), set(json.loads(held)))
        if self._held is not None and not self._held.done():
            self._held.set_exception(RuntimeError("the node followers ended"))

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"fault": text}:
                self._desk.report.fault(f"node, {text}")
            case {"completeness": frame, "caller": caller, "revision": revision}:
                self._desk.saw_completeness(self.name, caller, frame, revision)
            case {"held": held, "counts": counts}:
                self._desk.report.crews[self.name].update(counts)
                assert self._held is not None
                self._held.set_result({(caller, user): text for caller, user, text in held})
            case _:
                self._desk.report.fault(f"node said {message}")
