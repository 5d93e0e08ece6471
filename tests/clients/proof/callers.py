"""The callers that follow, and how each of them behaves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .expected_access import Viewer, leaves_of_names

#: Kinds of tokens: valid for the whole run, renewed on the open socket, or left to expire, which closes the socket.
LASTING, RENEWED, EXPIRING = "lasting", "renewed", "expiring"


@dataclass(frozen=True)
class Caller:
    """The caller of one socket in each group."""

    name: str
    sub: str
    role: str
    users: tuple[str, ...]
    scope: str = ""
    act: str | None = None
    fields: tuple[str, ...] | None = None
    token: str = LASTING
    #: Mean time in seconds until the caller disconnects.
    disconnect_after_s: float = 12.0
    #: Whether the caller sometimes stops reading for a while.
    is_slow: bool = False

    def viewer(self) -> Viewer:
        """Returns what the caller's access depends on."""
        fields = None if self.fields is None else leaves_of_names(self.fields)
        return Viewer(self.role, frozenset(self.scope.split()), fields)

    def as_dict(self) -> dict[str, Any]:
        """Returns the caller as a JSON object."""
        return asdict(self)


def all_callers(users: tuple[str, ...]) -> list[Caller]:
    """Returns every caller that follows."""
    many = "profile:read live:many"
    callers = [
        Caller("dashboard", "svc:dashboard", "service", users, many, token=RENEWED, disconnect_after_s=7),
        Caller("slow dashboard", "svc:dashboard", "service", users, many, disconnect_after_s=30, is_slow=True),
        Caller("prediction engine", "svc:prediction", "service", users, f"{many} ai_context", token=EXPIRING),
        Caller("bank", "svc:bank", "service", users, f"{many} third_party", disconnect_after_s=9),
        Caller(
            "scheme finder", "svc:finder", "service", users, many,
            fields=("eligibility", "deadlines.upcoming", "economic.bpl_status", "no.such.field"),
        ),
        Caller("administrator", "adm:root", "admin", users, "profile:read"),
        Caller(
            "auditing administrator", "adm:sparse", "admin", users, "profile:read",
            fields=("trust", "consent", "profile_completeness_pct", "identity.display_name"),
        ),
    ]
    for number, user in enumerate(users):
        kept = {0: RENEWED, 1: EXPIRING}.get(number % 10, LASTING)
        callers.append(Caller(f"citizen {number}", user, "self", (user,), token=kept, disconnect_after_s=20))
    for number, user in enumerate(users[:8]):
        sections = "section:eligibility section:deadlines"
        callers.append(Caller(f"agent {number}", f"agt:helper{number}", "agent", (user,), sections, act=user))
    return callers
