"""Sees every frame that any follower got, and holds it against the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from .cast import Caller
from .ledger import ConsentHistory, Viewer, leaves_of_document, leaves_of_operation
from .report import Report

#: The members of each frame: those that it must have, those that it may.
MEMBERS: dict[str, tuple[set[str], set[str]]] = {
    "profile": ({"user_id", "cursor", "revision", "profile"}, {"id", "reset"}),
    "patch": ({"user_id", "base_revision", "revision", "cursor", "operations", "envelope"}, {"id", "view_hash"}),
    "completeness": ({"user_id", "old_pct", "new_pct", "missing_fields"}, set()),
    "gone": ({"user_id"}, {"id"}),
    "error": ({"problem"}, {"id", "user_id"}),
    "unsubscribed": (set(), {"id"}),
    "pong": (set(), set()),
}


@dataclass(frozen=True)
class Sighting:
    """Leaves of a user that a frame showed, or that a follower held after it."""

    crew: str
    caller: str
    viewer: Viewer
    user: str
    revision: int
    leaves: set[str]


class Desk:
    """The one place where frames of both crews are looked at."""

    def __init__(self, report: Report, callers: list[Caller], users: tuple[str, ...]) -> None:
        self.report = report
        self.consents = {user: ConsentHistory() for user in users}
        #: While it is a set: to whom deadlines were sent unasked, as (crew, caller, user).
        self.day_turns: set[tuple[str, str, str]] | None = None
        self.day_answers: set[tuple[str, str, str]] = set()
        self.turned = asyncio.Event()
        self._viewers = {caller.name: caller.viewer() for caller in callers}
        self._waiting: dict[str, list[Sighting]] = {user: [] for user in users}

    def saw(self, crew: str, caller: str, frame: dict[str, Any], held: set[str]) -> None:
        """A frame came, after which the follower holds the leaves `held` of its user."""
        kind = frame["type"]
        counts = self.report.crews[crew]
        counts["frames"] += 1
        counts[f"frames: {kind}"] += 1
        needed, allowed = MEMBERS.get(kind, (set(), set()))
        if kind not in MEMBERS or not needed <= frame.keys() - {"type"} <= needed | allowed:
            self._fault(crew, caller, f"a frame of the shape {kind} {sorted(frame)}")
            return
        if kind == "patch":
            touched = set[str]().union(*(leaves_of_operation(operation) for operation in frame["operations"]))
            self._look(self._sighting(crew, caller, frame, touched | held))
            counts["revisions crossed by one patch"] += frame["revision"] - frame["base_revision"] > 1
            if any(leaf.startswith("deadlines.") for leaf in touched):
                self._note_turn(crew, caller, frame)
        elif kind == "profile":
            self._look(self._sighting(crew, caller, frame, leaves_of_document(frame["profile"]) | held))
            self._note_turn(crew, caller, frame)
        elif kind == "gone" and "third_party" not in self._viewers[caller].scopes:
            self._fault(crew, caller, "`gone` to somebody from whom no citizen can hide")

    def saw_completeness(self, crew: str, caller: str, frame: dict[str, Any], revision: int) -> None:
        """A `completeness` frame came while `revision` was held."""
        leaves = {"profile_completeness_pct", *frame["missing_fields"]}
        # `fields` narrows profiles and patches; what is missing beside them is told nevertheless.
        viewer = replace(self._viewers[caller], fields=None)
        self._look(Sighting(crew, caller, viewer, frame["user_id"], revision, leaves))

    def consent_settled(self, user: str) -> None:
        """What waited to know the user's consent is looked at now."""
        waiting, self._waiting[user] = self._waiting[user], []
        for sighting in waiting:
            self._check(sighting)

    def _note_turn(self, crew: str, caller: str, frame: dict[str, Any]) -> None:
        """A full queue may turn a patch into a profile; an answer to a subscribe is no push."""
        if self.day_turns is None:
            return
        view = (crew, caller, frame["user_id"])
        if "id" in frame:
            self.day_answers.add(view)
        else:
            self.day_turns.add(view)
            self.report.crews[crew][f"the day's turn as a {frame['type']}"] += 1
        self.turned.set()

    def _sighting(self, crew: str, caller: str, frame: dict[str, Any], leaves: set[str]) -> Sighting:
        return Sighting(crew, caller, self._viewers[caller], frame["user_id"], frame["revision"], leaves)

    def _look(self, sighting: Sighting) -> None:
        """Checks now, or as soon as it is known which consent held."""
        if self.consents[sighting.user].in_flight:
            self._waiting[sighting.user].append(sighting)
        else:
            self._check(sighting)

    def _check(self, seen: Sighting) -> None:
        self.report.crews[seen.crew]["frames held against the ledger"] += 1
        sights = [seen.viewer.sees(consent) for consent in self.consents[seen.user].possible(seen.revision)]
        visible = [sight for sight in sights if sight is not None]
        where = f"{seen.user} at revision {seen.revision}"
        if not visible:
            self._fault(seen.crew, seen.caller, f"{where} is hidden")
        elif withheld := seen.leaves - frozenset().union(*visible):
            self._fault(seen.crew, seen.caller, f"{where} shows {sorted(withheld)}")

    def _fault(self, crew: str, caller: str, text: str) -> None:
        self.report.fault(f"{crew}, {caller}: {text}")
