"""A follower's copy of one profile, kept by the contract's rules for a client. It does no input or output.

node/document.js implements the same rules independently.
"""

from __future__ import annotations

from typing import Any

import jsonpatch

from .canonical import canonical_hash
from .expected_access import ENVELOPE


class Fault(Exception):
    """A frame that breaks the contract."""


class Document:
    """The follower's copy of one profile."""

    def __init__(self) -> None:
        self.profile: dict[str, Any] | None = None
        self.revision = 0
        self.cursor: str | None = None
        #: The highest revision that was ever held. Published revisions are durable, so no older one may follow.
        self.newest = 0

    def drop(self) -> None:
        """Deletes the copy: the user is no longer visible."""
        self.profile, self.revision, self.cursor = None, 0, None

    def replace(self, frame: dict[str, Any]) -> None:
        """Applies a `profile` frame."""
        revision = frame["revision"]
        if revision < self.newest:
            raise Fault(f"revision {revision} follows {self.newest}")
        if frame["profile"]["revision"] != revision:
            raise Fault("the frame's revision is not the profile's")
        self.profile = frame["profile"]
        self._advance_to(frame)

    def patch(self, frame: dict[str, Any]) -> str:
        """Applies a `patch` frame. Returns `applied`, `ignored` if the revision is already held, or `gap`."""
        base, revision = frame["base_revision"], frame["revision"]
        if self.profile is None:
            raise Fault("there is nothing to patch")
        if base != self.revision:
            return "ignored" if revision <= self.revision else "gap"
        jsonpatch.JsonPatch(frame["operations"]).apply(self.profile, in_place=True)
        if not ENVELOPE.issuperset(frame["envelope"]):
            raise Fault(f"`envelope` holds {sorted(frame['envelope'])}")
        self.profile.update(frame["envelope"])
        if self.profile["revision"] != revision:
            raise Fault(f"the patch to {revision} leads to {self.profile['revision']}")
        self._advance_to(frame)
        return "applied"

    def check_hash(self, frame: dict[str, Any]) -> bool:
        """Compares `view_hash`. Returns whether the frame had one."""
        given = frame.get("view_hash")
        if given is not None and given != canonical_hash(self.profile):
            raise Fault(f"`view_hash` is {given}, what is held has {canonical_hash(self.profile)}")
        return given is not None

    def _advance_to(self, frame: dict[str, Any]) -> None:
        self.revision = frame["revision"]
        self.newest = max(self.newest, self.revision)
        self.cursor = frame["cursor"]
