"""One follower of the Python group: it connects, subscribes, resumes and handles frames as the contract says."""

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

from .callers import EXPIRING, LASTING, RENEWED, Caller
from .document import Document, Fault
from .expected_access import leaves_of_document
from .frame_checks import FrameChecks
from .server import Server
from .tokens import Minter

GROUP = "python"
PROTOCOL = Subprotocol("civic-profile.v1")
TOKEN_EXPIRED = 4401
#: Close codes that the run causes itself: by disconnecting and by expired tokens. A killed server sends none.
EXPECTED_CLOSES = {1000, 1005, 1006, TOKEN_EXPIRED}
LONG_LIFE_S = 3_000
#: Lifetimes of a token that is renewed, and of one that is not.
RENEWED_LIFE_S = 5
SHORT_LIFE_S = 2
RENEW_AFTER_S = 1.5
RETRY_HIDDEN_AFTER_S = 2.5
#: One patch in this many is discarded, as if the client had lost it; the next patch shows the gap.
LOSES_ONE_IN = 400


class Followed:
    """The follower's state for one user."""

    def __init__(self) -> None:
        self.document = Document()
        #: The `id` of the subscribe that is not answered yet, and whether it had a cursor.
        self.pending_id: str | None = None
        self.pending_has_cursor = False
        self.has_lost_patch = False
        self.is_refused = False
        #: No frame may have an older revision: it could contain data that was withdrawn since.
        self.min_revision = 0


class Follower:
    """Follows the users of one caller for the whole run, over as many sockets as it takes."""

    def __init__(self, caller: Caller, checks: FrameChecks, server: Server, minter: Minter, seed: str) -> None:
        self.caller = caller
        self.users = {user: Followed() for user in caller.users}
        self.is_resting = False
        self.changed = asyncio.Event()
        self._checks, self._server, self._minter = checks, server, minter
        self._counts = checks.report.groups[GROUP]
        self._random = random.Random(f"{seed} {GROUP} {caller.name}")
        self._socket: ClientConnection | None = None
        self._subscribe_count = 0
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
            headers["X-Access-Reason"] = "test with independent clients"
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
                    await self._on_frame(json.loads(text))
            except ConnectionClosed:
                # The close code is checked below.
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
        """Returns a new token. At rest tokens are long-lived, so that no socket closes."""
        if self.caller.token == RENEWED:
            return self._minter.for_caller(self.caller, RENEWED_LIFE_S)
        lasts = self.caller.token == LASTING or self.is_resting
        return self._minter.for_caller(self.caller, LONG_LIFE_S if lasts else SHORT_LIFE_S)

    # Sent messages.

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send(json.dumps(message))

    async def _subscribe(self, users: list[str]) -> None:
        self._subscribe_count += 1
        asked = f"ask-{self._subscribe_count}"
        entries = []
        for user in users:
            followed = self.users[user]
            cursor = followed.document.cursor
            followed.pending_id, followed.pending_has_cursor, followed.is_refused = asked, cursor is not None, False
            followed.has_lost_patch = False
            entries.append({"user_id": user} if cursor is None else {"user_id": user, "cursor": cursor})
        message: dict[str, Any] = {"type": "subscribe", "id": asked, "users": entries, "schema_version": "2.0"}
        if self.caller.fields is not None:
            message["fields"] = self.caller.fields
        await self._send(message)

    async def _leave(self) -> None:
        await asyncio.sleep(self._random.expovariate(1 / self.caller.disconnect_after_s))
        while self.is_resting:
            await asyncio.sleep(self._random.expovariate(1 / self.caller.disconnect_after_s))
        if self._socket is None:
            return
        if self._random.random() < 0.5:
            self._counts["disconnected with a close"] += 1
            await self._socket.close()
        else:
            self._counts["disconnected without a close"] += 1
            self._socket.transport.abort()

    async def _renew(self) -> None:
        age_s = 0.0
        while True:
            await asyncio.sleep(RENEW_AFTER_S)
            age_s += RENEW_AFTER_S
            await self._send({"type": "auth", "token": self._token()})
            self._counts["tokens renewed"] += 1
            self._counts["sockets that outlived their first token"] += 0 <= age_s - RENEWED_LIFE_S - 3 < RENEW_AFTER_S

    async def _retry_refused(self) -> None:
        while True:
            await asyncio.sleep(RETRY_HIDDEN_AFTER_S)
            if refused := [user for user, followed in self.users.items() if followed.is_refused]:
                await self._subscribe(refused)

    async def withdrawn(self, user: str, revision: int) -> None:
        """Sends a ping after a consent change at `revision`. After its pong no frame may be older."""
        if self._socket is not None and user in self.users:
            self._pings.append((user, revision))
            await self._send({"type": "ping"})

    async def rest(self, is_resting: bool) -> None:
        """Stops or resumes voluntary disconnects and lost patches. At rest, lost patches are requested again."""
        self.is_resting = is_resting
        if self.caller.token == EXPIRING:
            await self._send({"type": "auth", "token": self._token()})
        lost = [user for user, followed in self.users.items() if followed.has_lost_patch]
        if is_resting and lost:
            await self._subscribe(lost)

    # Received frames.

    async def _on_frame(self, frame: dict[str, Any]) -> None:
        user = frame.get("user_id")
        try:
            await self._dispatch(frame, self.users.get(user) if user else None)
        except (Fault, KeyError) as fault:
            self._fault(f"{user}: {type(fault).__name__} {fault}: {json.dumps(frame)[:300]}")
        held = self.users[user].document.profile if user in self.users else None
        self._checks.check_frame(GROUP, self.caller.name, frame, leaves_of_document(held or {}))
        self.changed.set()
        if self.caller.is_slow and not self.is_resting and self._random.random() < 0.005:
            self._counts["pauses in reading"] += 1
            await asyncio.sleep(1.5)

    async def _dispatch(self, frame: dict[str, Any], followed: Followed | None) -> None:
        match frame["type"]:
            case "pong":
                if self._pings:
                    user, revision = self._pings.popleft()
                    self.users[user].min_revision = max(self.users[user].min_revision, revision)
                    self._counts["withdrawals checked with a ping"] += 1
            case "profile" | "patch" | "gone" | "error" | "completeness" as kind if followed is not None:
                await getattr(self, f"_take_{kind}")(frame, followed)
            case kind:
                raise Fault(f"an unexpected `{kind}`")

    async def _take_profile(self, frame: dict[str, Any], followed: Followed) -> None:
        self._check_min_revision(frame, followed)
        is_answer = self._answers(frame, followed)
        had_cursor = is_answer and followed.pending_has_cursor
        if "reset" in frame and not had_cursor:
            raise Fault("`reset` where no cursor was given")
        if had_cursor:
            self._counts["resumes: reset" if "reset" in frame else "resumes: continued by a profile"] += 1
        followed.document.replace(frame)

    async def _take_patch(self, frame: dict[str, Any], followed: Followed) -> None:
        self._check_min_revision(frame, followed)
        if self._answers(frame, followed):
            if not followed.pending_has_cursor:
                raise Fault("a patch answers a subscribe without a cursor")
            if frame["base_revision"] != followed.document.revision:
                raise Fault("the patch does not continue from the cursor")
            self._counts["resumes: continued by a patch"] += 1
        elif followed.pending_id is None and not self.is_resting and self._random.randrange(LOSES_ONE_IN) == 0:
            followed.has_lost_patch = True
            return
        outcome = followed.document.patch(frame)
        self._counts[f"patches {outcome}"] += 1
        if outcome == "applied":
            self._counts["view hashes compared"] += followed.document.check_hash(frame)
        elif outcome == "gap" and followed.pending_id is None:
            if not followed.has_lost_patch:
                self._fault(f"a gap: {followed.document.revision} is held, and the patch is {frame['base_revision']}")
            self._counts["gaps closed by the cursor"] += 1
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
        if held != frame["new_pct"] and followed.pending_id is None and not followed.has_lost_patch:
            raise Fault(f"`completeness` has {frame['new_pct']}, and the profile {held}")
        self._checks.check_completeness(GROUP, self.caller.name, frame, followed.document.revision)

    def _answers(self, frame: dict[str, Any], followed: Followed) -> bool:
        given = frame.get("id")
        if given is None or given != followed.pending_id:
            return False
        followed.pending_id = None
        return True

    def _check_min_revision(self, frame: dict[str, Any], followed: Followed) -> None:
        if frame["revision"] < followed.min_revision:
            raise Fault(f"revision {frame['revision']} came after the withdrawal at {followed.min_revision}")

    def _fault(self, text: str) -> None:
        self._checks.report.fault(f"{GROUP}, {self.caller.name}: {text}")


async def small_socket(address: str) -> sockets.socket:
    """Opens a connection with a small receive buffer, so that the server soon notices a client that does not read."""
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
