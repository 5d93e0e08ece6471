"""The load: a feeder that posts events, and citizens who change their consent."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from .api import Api
from .events import Events
from .expected_access import Consent
from .frame_checks import FrameChecks
from .report import Report
from .tokens import Minter

#: A few users get most of the events, so that their revisions climb.
HOT_USERS = 8


def feed_path(source: str) -> str:
    """Returns the path that a source posts to."""
    return f"/api/v2/feeds/{source}"


class Feeder:
    """Posts batches until they are acknowledged, also across kills of the server."""

    def __init__(self, api: Api, minter: Minter, events: Events, report: Report, users: tuple[str, ...], seed: str):
        self._api, self._minter, self._events, self._report, self._users = api, minter, events, report, users
        self._random = random.Random(f"feeder {seed}")

    async def seed(self) -> None:
        """Posts the first events of every user."""
        by_source: dict[str, list[dict[str, Any]]] = {}
        for user in self._users:
            for source, event in self._events.first(user):
                by_source.setdefault(source, []).append(event)
        await asyncio.gather(*(self.post(source, events) for source, events in by_source.items()))

    async def run(self, events_per_second: float, is_on: asyncio.Event) -> None:
        """Posts at this rate while it is on."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while is_on.is_set():
            count = self._random.randint(1, 12)
            users = [self._user() for _ in range(count)]
            await self.post(*self._events.any(users))
            due = max(due + count / events_per_second, loop.time() - 1)
            await asyncio.sleep(due - loop.time())

    def _user(self) -> str:
        return self._random.choice(self._users[:HOT_USERS] if self._random.random() < 0.6 else self._users)

    async def post(self, source: str, events: list[dict[str, Any]]) -> None:
        """Posts until every event is acknowledged."""
        while events:
            answer, is_repeated = await self._api.call_until_answered(
                "POST", feed_path(source), self._minter.feed(source), json.dumps(events).encode(),
                Content_Type="application/cloudevents-batch+json",
            )
            self._report.totals["posts repeated"] += is_repeated
            if answer.status != 200:
                self._report.fault(f"a batch of {source} was answered {answer.status}: {answer.body[:300]!r}")
                return
            total = answer.json()
            for name in ("applied", "unchanged", "duplicates", "busy"):
                self._report.totals[f"events {name}"] += total[name]
            if total["rejected"]:
                self._report.fault(f"events of {source} were rejected: {answer.body[:500]!r}")
            busy = [result["index"] for result in total["results"] if result["status"] == "busy"]
            events = [events[index] for index in busy]


class Consents:
    """Changes the consent of citizens, by PUT or through the consent feed."""

    def __init__(
        self, api: Api, minter: Minter, events: Events, checks: FrameChecks, users: tuple[str, ...], seed: str,
        on_change: Callable[[str, int], Awaitable[None]],
    ) -> None:
        self._api, self._minter, self._events, self._checks, self._users = api, minter, events, checks, users
        self._on_change = on_change
        self._random = random.Random(f"consents {seed}")

    async def seed(self) -> None:
        """Gives two thirds of the users a first consent."""
        for user in self._users[::3]:
            await self._change(user, Consent("full", True))
        for user in self._users[1::3]:
            await self._change(user, Consent("standard", False))

    async def run(self, changes_per_second: float, is_on: asyncio.Event) -> None:
        """Changes consents at about this rate while it is on."""
        levels = ("minimal", "standard", "full")
        while is_on.is_set():
            user = self._random.choice(self._users)
            wanted = Consent(self._random.choice(levels), self._random.random() < 0.5)
            if wanted != self._checks.consents[user].current:
                await self._change(user, wanted)
            await asyncio.sleep(self._random.expovariate(changes_per_second))

    async def _change(self, user: str, wanted: Consent) -> None:
        history = self._checks.consents[user]
        history.in_flight = True
        put = self._random.random() < 0.5
        revision, is_exact = await (self._put(user, wanted) if put else self._post(user, wanted))
        history.record(revision, wanted, is_exact=is_exact)
        history.in_flight = False
        self._checks.report.totals["consents changed by PUT" if put else "consents changed by the feed"] += 1
        self._checks.consent_settled(user)
        await self._on_change(user, revision)

    async def _put(self, user: str, wanted: Consent) -> tuple[int, bool]:
        answer, is_repeated = await self._api.call_until_answered(
            "PUT", f"/api/v2/profile/{user}/consent", self._minter.token(user, "self"), body_of(wanted),
            Content_Type="application/json",
        )
        return answer.json()["revision"], not is_repeated

    async def _post(self, user: str, wanted: Consent) -> tuple[int, bool]:
        event = self._events.event(user, "consent", "user.consent.updated", json.loads(body_of(wanted)))
        while True:
            answer, is_repeated = await self._api.call_until_answered(
                "POST", feed_path("consent"), self._minter.feed("consent"), json.dumps([event]).encode(),
                Content_Type="application/cloudevents-batch+json", Prefer="return=representation",
            )
            result = answer.json()["results"][0]
            if result["status"] != "busy":
                return result["revision"], result["status"] == "applied" and not is_repeated


def body_of(consent: Consent) -> bytes:
    """Returns the request body that sets the consent."""
    body = {"data_sharing_level": consent.level, "third_party_sharing": consent.third_party_sharing}
    return json.dumps(body).encode()
