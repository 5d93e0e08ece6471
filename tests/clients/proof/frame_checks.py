"""Checks every frame that a follower receives against the expected access."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from .callers import Caller
from .expected_access import ConsentHistory, Viewer, leaves_of_document, leaves_of_operation
from .report import Report

#: The required and the optional members of each frame.
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
class ShownLeaves:
    """Leaves of a user that a frame contained, or that a follower held after it."""

    group: str
    caller: str
    viewer: Viewer
    user: str
    revision: int
    leaves: set[str]


class FrameChecks:
    """Checks the frames of both groups."""

    def __init__(self, report: Report, callers: list[Caller], users: tuple[str, ...]) -> None:
        self.report = report
        self.consents = {user: ConsentHistory() for user in users}
        #: The views that were sent deadlines without a request at midnight, as (group, caller, user).
        self.day_pushes: set[tuple[str, str, str]] | None = None
        self.day_answers: set[tuple[str, str, str]] = set()
        self.day_changed = asyncio.Event()
        self._viewers = {caller.name: caller.viewer() for caller in callers}
        self._deferred: dict[str, list[ShownLeaves]] = {user: [] for user in users}

    def check_frame(self, group: str, caller: str, frame: dict[str, Any], held: set[str]) -> None:
        """Checks a frame. After it the follower holds the leaves `held` of its user."""
        kind = frame["type"]
        counts = self.report.groups[group]
        counts["frames"] += 1
        counts[f"frames: {kind}"] += 1
        needed, allowed = MEMBERS.get(kind, (set(), set()))
        if kind not in MEMBERS or not needed <= frame.keys() - {"type"} <= needed | allowed:
            self._fault(group, caller, f"a frame with unexpected members: {kind} {sorted(frame)}")
            return
        if kind == "patch":
            touched = set[str]().union(*(leaves_of_operation(operation) for operation in frame["operations"]))
            self._check_or_defer(self._shown_leaves(group, caller, frame, touched | held))
            counts["revisions crossed by one patch"] += frame["revision"] - frame["base_revision"] > 1
            if any(leaf.startswith("deadlines.") for leaf in touched):
                self._note_new_day(group, caller, frame)
        elif kind == "profile":
            self._check_or_defer(self._shown_leaves(group, caller, frame, leaves_of_document(frame["profile"]) | held))
            self._note_new_day(group, caller, frame)
        elif kind == "gone" and "third_party" not in self._viewers[caller].scopes:
            self._fault(group, caller, "`gone` to a caller from whom users cannot be hidden")

    def check_completeness(self, group: str, caller: str, frame: dict[str, Any], revision: int) -> None:
        """Checks a `completeness` frame that came while `revision` was held."""
        leaves = {"profile_completeness_pct", *frame["missing_fields"]}
        # `fields` does not narrow the list of missing fields.
        viewer = replace(self._viewers[caller], fields=None)
        self._check_or_defer(ShownLeaves(group, caller, viewer, frame["user_id"], revision, leaves))

    def consent_settled(self, user: str) -> None:
        """Runs the checks that were deferred until the user's consent was known."""
        deferred, self._deferred[user] = self._deferred[user], []
        for shown in deferred:
            self._check(shown)

    def _note_new_day(self, group: str, caller: str, frame: dict[str, Any]) -> None:
        """Records a frame with the new day: sent without a request, or as the answer to a subscribe."""
        if self.day_pushes is None:
            return
        view = (group, caller, frame["user_id"])
        if "id" in frame:
            self.day_answers.add(view)
        else:
            self.day_pushes.add(view)
            self.report.groups[group][f"new day sent as a {frame['type']}"] += 1
        self.day_changed.set()

    def _shown_leaves(self, group: str, caller: str, frame: dict[str, Any], leaves: set[str]) -> ShownLeaves:
        return ShownLeaves(group, caller, self._viewers[caller], frame["user_id"], frame["revision"], leaves)

    def _check_or_defer(self, shown: ShownLeaves) -> None:
        """Checks now, or once the consent change in progress is acknowledged."""
        if self.consents[shown.user].in_flight:
            self._deferred[shown.user].append(shown)
        else:
            self._check(shown)

    def _check(self, shown: ShownLeaves) -> None:
        self.report.groups[shown.group]["frames checked for access"] += 1
        views = [shown.viewer.visible_leaves(consent) for consent in self.consents[shown.user].possible(shown.revision)]
        visible = [leaves for leaves in views if leaves is not None]
        where = f"{shown.user} at revision {shown.revision}"
        if not visible:
            self._fault(shown.group, shown.caller, f"{where} is hidden")
        elif withheld := shown.leaves - frozenset().union(*visible):
            self._fault(shown.group, shown.caller, f"{where} shows {sorted(withheld)}")

    def _fault(self, group: str, caller: str, text: str) -> None:
        self.report.fault(f"{group}, {caller}: {text}")
