"""Patches name the source of each value to those who ask: `x-source` leads to what `include=provenance` says.

Each caller follows the citizens twice, with the sources and without them. RFC 6902 has readers ignore members that they do not
know, so the library `jsonpatch`, which knows nothing of `x-source`, must hold the same document either way.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .api import Api
from .callers import Caller
from .document import Document
from .events import Events, user_ids
from .expected_access import Consent, leaves_of_operation
from .server import Server
from .standalone import prove
from .tokens import Minter

EVENTS = 40
#: A revision in which a caller sees no change may arrive a second later.
HELD_BACK_S = 1.5

#: What each source writes to the fields that they share. No value occurs twice, so that every change of the source is one of the
#: value, too: a source that changes alone makes no patch.
SHARED: dict[str, dict[str, dict[str, tuple[Any, ...]]]] = {
    "metadata": {
        "demographics": {
            "state": ("maharashtra", None), "district": ("pune",), "urban_rural": ("urban", None),
            "residency_years": tuple(range(0, 60, 2)),
        },
        "economic": {
            "income_bracket": ("0-2.5L", "2.5L-5L", None), "employment_type": ("salaried", "business"),
            "bpl_status": (True,), "ration_card_type": ("APL", "BPL"),
        },
        "family": {"marital_status": ("single",), "dependents": (0, 2, 4), "members_count": (2, 4, 6, None)},
    },
    "self": {
        "demographics": {
            "state": ("kerala", None), "district": ("ernakulam",), "urban_rural": ("rural",),
            "residency_years": tuple(range(1, 60, 2)),
        },
        "economic": {
            "income_bracket": ("5L-10L", "10L-20L"), "employment_type": ("agriculture", "unemployed"),
            "bpl_status": (False,), "ration_card_type": ("AAY", "none", None),
        },
        "family": {"marital_status": ("married", None), "dependents": (1, 3, 5), "members_count": (1, 3, 5)},
    },
}
#: What the identity engine writes to them.
ADDRESS = {"state": "karnataka", "district": "bengaluru_urban", "pincode": "560001"}


@dataclass
class Followed:
    """A subscription's copy of one profile, and the sources that its patches have named."""

    document: Document = field(default_factory=Document)
    #: The source of each value that a patch has brought; `None` for one that no source has sent.
    sources: dict[str, str | None] = field(default_factory=dict)

    def take(self, frame: dict[str, Any], counts: Counter[str]) -> None:
        """Takes a frame by the rules for a client."""
        if frame["type"] == "profile":
            self.document.replace(frame)
            # A document names no sources.
            self.sources.clear()
        elif frame["type"] == "gone":
            self.document.drop()
            self.sources.clear()
        elif frame["type"] == "patch":
            self.document.patch(frame)
            for operation in frame["operations"]:
                self._note(operation, counts)

    def _note(self, operation: dict[str, Any], counts: Counter[str]) -> None:
        if operation["op"] == "remove":
            # A leaf, or a section with all of its leaves. A list that loses an item keeps its source.
            path = operation["path"][1:].replace("/", ".")
            for leaf in [leaf for leaf in self.sources if leaf == path or leaf.startswith(f"{path}.")]:
                del self.sources[leaf]
            counts["removals with a source"] += "x-source" in operation
            return
        for leaf in leaves_of_operation(operation):
            self.sources[leaf] = operation.get("x-source")
            counts["values with a source" if "x-source" in operation else "values without a source"] += 1


class Subscription:
    """A caller's socket, which follows all users."""

    def __init__(self, caller: Caller, is_sourced: bool) -> None:
        self.caller, self.is_sourced = caller, is_sourced
        self.followed = {user: Followed() for user in caller.users}
        self.errors: list[str] = []
        self.counts: Counter[str] = Counter()
        self.socket: ClientConnection

    async def begin(self, address: str, token: str) -> None:
        """Connects and subscribes."""
        self.socket = await connect(
            f"ws://{address}/api/v2/live", subprotocols=[Subprotocol("civic-profile.v1")],
            additional_headers={"Authorization": f"Bearer {token}", "X-Access-Reason": "a test"}, max_size=None,
        )
        message: dict[str, Any] = {"type": "subscribe", "users": [{"user_id": user} for user in self.caller.users]}
        await self.socket.send(json.dumps(message | ({"include": ["provenance"]} if self.is_sourced else {})))

    async def catch_up(self) -> None:
        """Takes all frames up to now."""
        await self.socket.send(json.dumps({"type": "ping"}))
        while (frame := json.loads(await self.socket.recv()))["type"] != "pong":
            if frame["type"] == "error":
                self.errors.append(frame["problem"]["type"])
            else:
                self.followed[frame["user_id"]].take(frame, self.counts)


class Proof:
    """Follows citizens with and without sources, and compares with `GET`."""

    def __init__(self, server: Server, seed: str) -> None:
        self.faults: list[str] = []
        self.compared: Counter[str] = Counter()
        self._server, self._random = server, random.Random(f"sources {seed}")
        self._minter, self._api = Minter(server.secret(), server.now_s), Api(server)
        self._events = Events(seed, server.now_s)
        self.users = user_ids(3, seed)
        many = "profile:read live:many"
        self.callers = [
            Caller("citizen", self.users[0], "self", self.users[:1]),
            Caller("administrator", "adm:root", "admin", self.users, many),
            Caller("agent", "agt:a", "agent", self.users[:1], "section:economic", act=self.users[0]),
            Caller("service", "svc:dashboard", "service", self.users, many),
            Caller("bank", "svc:bank", "service", self.users, f"{many} third_party"),
            Caller("stranger", "svc:stranger", "service", self.users, "live:many"),
        ]

    async def seed(self) -> None:
        """Posts an event of each kind for every user."""
        for user in self.users:
            for source, event in self._events.first(user):
                await self._post(source, [event])

    async def run(self) -> None:
        """Posts events round by round, at other consents, and compares after each."""
        await self._consent(Consent("full", True))
        subscriptions = [Subscription(caller, is_sourced) for caller in self.callers for is_sourced in (True, False)]
        for subscription in subscriptions:
            token = self._minter.for_caller(subscription.caller)
            await subscription.begin(await self._server.address(), token)
            await subscription.catch_up()
        for level in ("full", "standard", "full"):
            consent = Consent(level, level == "full")
            await self._consent(consent)
            for _ in range(EVENTS):
                await self._post(*self._events.any(list(self.users)))
            await asyncio.sleep(HELD_BACK_S)
            for subscription in subscriptions:
                await subscription.catch_up()
                await self._compare(subscription, consent)
        for subscription in subscriptions:
            await subscription.socket.close()
            self._check_whole_run(subscription)

    async def _compare(self, subscription: Subscription, consent: Consent) -> None:
        caller, visible = subscription.caller, subscription.caller.viewer().visible_leaves(consent)
        for user, followed in subscription.followed.items():
            answer = await self._read(user, caller)
            if visible is None:
                is_gone = answer.status == 404 and followed.document.profile is None
                self._expect(is_gone, caller, f"GET is {answer.status}, and {followed.document.profile} is held")
                continue
            document = answer.json()
            provenance = document.pop("_provenance")
            self._expect(followed.document.profile == document, caller, "a subscription holds something else than GET")
            if not subscription.is_sourced:
                continue
            for leaf, source in followed.sources.items():
                given = provenance.get(leaf, {}).get("source")
                self._expect(leaf in visible, caller, f"`{leaf}` is hidden and has a source")
                self._expect(source == given, caller, f"`{leaf}` is from {source}, and by GET from {given}")
                self.compared[caller.name] += 1

    def _check_whole_run(self, subscription: Subscription) -> None:
        caller, counts = subscription.caller, subscription.counts
        if caller.name == "stranger":
            refused = subscription.errors == ["/problems/unknown-user"] * len(caller.users)
            self._expect(refused and not counts, caller, f"got {subscription.errors} and {counts}")
        elif subscription.is_sourced:
            self._expect(counts["values with a source"] > 0, caller, "no value has a source")
        else:
            self._expect(counts["values with a source"] == 0, caller, "a source came that nobody has asked for")
        self._expect(counts["removals with a source"] == 0, caller, "a removal has a source")

    def _expect(self, holds: bool, caller: Caller, fault: str) -> None:
        if not holds:
            self.faults.append(f"{caller.name}: {fault}")

    async def _post(self, source: str, batch: list[Any]) -> None:
        for event in batch:
            if source in SHARED:
                event["data"] = {"fields": self._shared(source)}
            elif source == "identity":
                event["data"]["address"] = ADDRESS
        body, token = json.dumps(batch).encode(), self._minter.feed(source)
        content_type = "application/cloudevents-batch+json"
        answer = await self._api.call("POST", f"/api/v2/feeds/{source}", token, body, content_type=content_type)
        if answer is None or answer.status != 200 or answer.json()["rejected"]:
            self.faults.append(f"events of {source} were answered {answer}")

    def _shared(self, source: str) -> dict[str, Any]:
        sections = SHARED[source]
        chosen = self._random.sample(sorted(sections), self._random.randint(1, len(sections)))
        return {name: {leaf: self._random.choice(of) for leaf, of in sections[name].items()} for name in chosen}

    async def _consent(self, consent: Consent) -> None:
        body = json.dumps({"data_sharing_level": consent.level, "third_party_sharing": consent.third_party_sharing})
        for user in self.users:
            path, token = f"/api/v2/profile/{user}/consent", self._minter.token(user, "self")
            answer = await self._api.call("PUT", path, token, body.encode(), content_type="application/json")
            if answer is None or answer.status != 200:
                self.faults.append(f"a consent was answered {answer}")

    async def _read(self, user: str, caller: Caller) -> Any:
        path, token = f"/api/v2/profile/{user}?include=provenance", self._minter.for_caller(caller)
        answer = await self._api.call("GET", path, token, x_access_reason="a test")
        assert answer is not None
        return answer


async def run(server: Server) -> tuple[list[str], str]:
    """Returns the faults, and a summary of what was compared."""
    await server.start()
    proof = Proof(server, "sources")
    await proof.seed()
    await proof.run()
    names = [caller.name for caller in proof.callers if caller.name != "stranger"]
    proof.faults += [f"{name}: nothing was compared" for name in names if not proof.compared[name]]
    return proof.faults, f"{proof.compared.total()} sources that patches have named are those that GET gives"


if __name__ == "__main__":
    sys.exit(prove("sources", __doc__, run))
