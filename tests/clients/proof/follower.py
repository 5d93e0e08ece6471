"""One socket of the Python crew: it connects, subscribes, resumes, and takes frames as the contract says."""

from __future__ import annotations

import asyncio
import json
import random
import socket as sockets
from collections import deque
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from .cast import EXPIRING, LASTING, RENEWED, Caller
from .desk import Desk
from .document import Document, Fault
from .ledger import leaves_of_document
from .server import Server
from .tokens import Minter

CREW = "python"
PROTOCOL = Subprotocol("civic-profile.v1")
TOKEN_EXPIRED = 4401
#: Closes that the run brings about itself: ours, the token's end. A killed server closes nothing.
EXPECTED_CLOSES = {1000, 1005, 1006, TOKEN_EXPIRED}
LONG_LIFE_S = 3_000
#: Of a token that is renewed, and of one that is not.
RENEWED_LIFE_S = 5
SHORT_LIFE_S = 2
RENEW_AFTER_S = 1.5
RETRY_HIDDEN_AFTER_S = 2.5
#: One patch in so many is thrown away, as by a client that lost it; the next one shows the gap.
LOSES_ONE_IN = 400


class Followed:
    """What the follower knows of one user."""

    def __init__(self) -> None:
        self.document = Document()
        #: The `id` of the subscribe that is still to be answered, and whether it had a cursor.
        self.asked: str | None = None
        self.asked_with_cursor = False
        self.has_lost_one = False
        self.is_refused = False
        #: Frames of an older revision held something that was withdrawn: none may come any more.
        self.floor = 0


class Follower:
    """Follows the users of one caller for the whole run, over as many sockets as it takes."""

    def __init__(self, caller: Caller, desk: Desk, server: Server, minter: Minter, seed: str) -> None:
        self.caller = caller
        self.users = {user: Followed() for user in caller.users}
        self.is_resting = False
        self.changed = asyncio.Event()
        self._desk, self._server, self._minter = desk, server, minter
        self._counts = desk.report.crews[CREW]
        self._random = random.Random(f"{seed} {CREW} {caller.name}")
        self._socket: ClientConnection | None = None
        self._asks = 0
        self._pings: deque[tuple[str, int]] = deque()

    async def run(self) -> None:
        """Follows until it is cancelled."""
        while True:
            address = await self._server.address()
            try:
                await self._one_socket(address)
            except (OSError, WebSocketException, TimeoutError):
                # The server was killed just now.
                self._counts["connections refused or cut"] += 1
                await asyncio.sleep(0.05)

    async def _one_socket(self, address: str) -> None:
        headers = {"Authorization": f"Bearer {self._token()}"}
        if self.caller.role == "admin":
            headers["X-Access-Reason"] = "proof by foreign clients"
        options: dict[str, Any] = {"sock": await small_socket(address), "max_queue": 1} if self.caller.is_slow else {}
        async with connect(
            f"ws://{address}/api/v2/live", subprotocols=[PROTOCOL], additional_headers=headers,
            max_size=None, ping_interval=None, **options,
        ) as socket:
            self._socket = socket
            self._pings.clear()
            self._counts["sockets opened"] += 1
            side_tasks = [asyncio.create_task(task) for task in (self._leave(), self._retry_refused())]
            if self.caller.token == RENEWED:
                side_tasks.append(asyncio.create_task(self._renew()))
            try:
                await self._subscribe(list(self.users))
                async for text in socket:
                    await self._take(json.loads(text))
            except ConnectionClosed:
                # With which code is looked at below.
                pass
            finally:
                self._socket = None
                for task in side_tasks:
                    task.cancel()
        self._note_close(socket.close_code)

    def _note_close(self, code: int | None) -> None:
        if code == 1006:
            self._counts["connections refused or cut"] += 1
        elif code == TOKEN_EXPIRED:
            self._counts["tokens that expired (4401)"] += 1
            if self.caller.token != EXPIRING:
                self._fault("the socket was closed as expired, though its token was not")
        elif code not in EXPECTED_CLOSES:
            self._fault(f"the socket was closed with {code}")

    def _token(self) -> str:
        """At rest nobody's socket ends with its token, so that nobody has to come back."""
        if self.caller.token == RENEWED:
            return self._minter.of(self.caller, RENEWED_LIFE_S)
        lasts = self.caller.token == LASTING or self.is_resting
        return self._minter.of(self.caller, LONG_LIFE_S if lasts else SHORT_LIFE_S)

    # What it says.

    async def _say(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send(json.dumps(message))

    async def _subscribe(self, users: list[str]) -> None:
        self._asks += 1
        asked = f"ask-{self._asks}"
        entries = []
        for user in users:
            followed = self.users[user]
            cursor = followed.document.cursor
            followed.asked, followed.asked_with_cursor, followed.is_refused = asked, cursor is not None, False
            followed.has_lost_one = False
            entries.append({"user_id": user} if cursor is None else {"user_id": user, "cursor": cursor})
        message: dict[str, Any] = {"type": "subscribe", "id": asked, "users": entries, "schema_version": "2.0"}
        if self.caller.fields is not None:
            message["fields"] = self.caller.fields
        await self._say(message)

    async def _leave(self) -> None:
        await asyncio.sleep(self._random.expovariate(1 / self.caller.restless_s))
        while self.is_resting:
            await asyncio.sleep(self._random.expovariate(1 / self.caller.restless_s))
        if self._socket is None:
            return
        if self._random.random() < 0.5:
            self._counts["left with a close"] += 1
            await self._socket.close()
        else:
            self._counts["left without a word"] += 1
            self._socket.transport.abort()

    async def _renew(self) -> None:
        age_s = 0.0
        while True:
            await asyncio.sleep(RENEW_AFTER_S)
            age_s += RENEW_AFTER_S
            await self._say({"type": "auth", "token": self._token()})
            self._counts["tokens renewed"] += 1
            self._counts["sockets that outlived their first token"] += 0 <= age_s - RENEWED_LIFE_S - 3 < RENEW_AFTER_S

    async def _retry_refused(self) -> None:
        while True:
            await asyncio.sleep(RETRY_HIDDEN_AFTER_S)
            if refused := [user for user, followed in self.users.items() if followed.is_refused]:
                await self._subscribe(refused)

    async def withdrawn(self, user: str, revision: int) -> None:
        """The user's consent changed at `revision`: behind the next answer, no frame may be older."""
        if self._socket is not None and user in self.users:
            self._pings.append((user, revision))
            await self._say({"type": "ping"})

    async def rest(self, is_resting: bool) -> None:
        """Does nothing of its own will for a while, and makes good what it lost."""
        self.is_resting = is_resting
        if self.caller.token == EXPIRING:
            await self._say({"type": "auth", "token": self._token()})
        lost = [user for user, followed in self.users.items() if followed.has_lost_one]
        if is_resting and lost:
            await self._subscribe(lost)

    # What it hears.

    async def _take(self, frame: dict[str, Any]) -> None:
        user = frame.get("user_id")
        try:
            await self._understand(frame, self.users.get(user) if user else None)
        except (Fault, KeyError) as fault:
            self._fault(f"{user}: {type(fault).__name__} {fault}: {json.dumps(frame)[:300]}")
        held = self.users[user].document.profile if user in self.users else None
        self._desk.saw(CREW, self.caller.name, frame, leaves_of_document(held or {}))
        self.changed.set()
        if self.caller.is_slow and not self.is_resting and self._random.random() < 0.005:
            self._counts["pauses of the slow"] += 1
            await asyncio.sleep(1.5)

    async def _understand(self, frame: dict[str, Any], followed: Followed | None) -> None:
        match frame["type"]:
            case "pong":
                if self._pings:
                    user, revision = self._pings.popleft()
                    self.users[user].floor = max(self.users[user].floor, revision)
                    self._counts["withdrawals watched to the next frame"] += 1
            case "profile" | "patch" | "gone" | "error" | "completeness" as kind if followed is not None:
                await getattr(self, f"_take_{kind}")(frame, followed)
            case kind:
                raise Fault(f"an unexpected `{kind}`")

    async def _take_profile(self, frame: dict[str, Any], followed: Followed) -> None:
        self._check_floor(frame, followed)
        was_asked = self._answers(frame, followed)
        had_cursor = was_asked and followed.asked_with_cursor
        if "reset" in frame and not had_cursor:
            raise Fault("`reset` where no cursor was given")
        if had_cursor:
            self._counts["resumes: reset" if "reset" in frame else "resumes: continued by a profile"] += 1
        followed.document.replace(frame)

    async def _take_patch(self, frame: dict[str, Any], followed: Followed) -> None:
        self._check_floor(frame, followed)
        if self._answers(frame, followed):
            if not followed.asked_with_cursor:
                raise Fault("a patch answers a subscribe without a cursor")
            if frame["base_revision"] != followed.document.revision:
                raise Fault("the patch does not continue from the cursor")
            self._counts["resumes: continued by a patch"] += 1
        elif followed.asked is None and not self.is_resting and self._random.randrange(LOSES_ONE_IN) == 0:
            followed.has_lost_one = True
            return
        outcome = followed.document.patch(frame)
        self._counts[f"patches {outcome}"] += 1
        if outcome == "applied":
            self._counts["view hashes compared"] += followed.document.check_hash(frame)
        elif outcome == "gap" and followed.asked is None:
            if not followed.has_lost_one:
                self._fault(f"a gap: {followed.document.revision} is held, and the patch is {frame['base_revision']}")
            self._counts["gaps healed by the cursor"] += 1
            await self._subscribe([frame["user_id"]])

    async def _take_gone(self, frame: dict[str, Any], followed: Followed) -> None:
        self._answers(frame, followed)
        followed.document.drop()

    async def _take_error(self, frame: dict[str, Any], followed: Followed) -> None:
        status = frame["problem"]["status"]
        if status != 404 or "third_party" not in self.caller.scope or not self._answers(frame, followed):
            raise Fault(f"an error {status}")
        followed.document.drop()
        followed.is_refused = True

    async def _take_completeness(self, frame: dict[str, Any], followed: Followed) -> None:
        held = (followed.document.profile or {}).get("profile_completeness_pct", frame["new_pct"])
        if held != frame["new_pct"] and followed.asked is None and not followed.has_lost_one:
            raise Fault(f"`completeness` speaks of {frame['new_pct']}, and the profile of {held}")
        self._desk.saw_completeness(CREW, self.caller.name, frame, followed.document.revision)

    def _answers(self, frame: dict[str, Any], followed: Followed) -> bool:
        given = frame.get("id")
        if given is None or given != followed.asked:
            return False
        followed.asked = None
        return True

    def _check_floor(self, frame: dict[str, Any], followed: Followed) -> None:
        if frame["revision"] < followed.floor:
            raise Fault(f"revision {frame['revision']} came after the withdrawal at {followed.floor}")

    def _fault(self, text: str) -> None:
        self._desk.report.fault(f"{CREW}, {self.caller.name}: {text}")


async def small_socket(address: str) -> sockets.socket:
    """A connection whose receive buffer is small, so that not reading is felt soon."""
    host, _, port = address.rpartition(":")
    socket = sockets.socket()
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
    socket.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(socket, (host, int(port)))
    except OSError:
        socket.close()
        raise
    return socket
