"""The callers that follow, and what each of them is like."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .ledger import Viewer, leaves_of_names

#: A token that lasts the whole run, one that is renewed in place, one whose end closes the socket.
LASTING, RENEWED, EXPIRING = "lasting", "renewed", "expiring"


@dataclass(frozen=True)
class Caller:
    """One socket's owner."""

    name: str
    sub: str
    role: str
    users: tuple[str, ...]
    scope: str = ""
    act: str | None = None
    fields: tuple[str, ...] | None = None
    token: str = LASTING
    #: Mean seconds between two disconnects of its own will.
    restless_s: float = 12.0
    #: Stops reading for a while now and then.
    is_slow: bool = False

    def viewer(self) -> Viewer:
        """The caller as the ledger knows it."""
        fields = None if self.fields is None else leaves_of_names(self.fields)
        return Viewer(self.role, frozenset(self.scope.split()), fields)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def cast(users: tuple[str, ...]) -> list[Caller]:
    """Everybody who follows."""
    many = "profile:read live:many"
    callers = [
        Caller("dashboard", "svc:dashboard", "service", users, many, token=RENEWED, restless_s=7),
        Caller("slow dashboard", "svc:dashboard", "service", users, many, restless_s=30, is_slow=True),
        Caller("prediction engine", "svc:prediction", "service", users, f"{many} ai_context", token=EXPIRING),
        Caller("bank", "svc:bank", "service", users, f"{many} third_party", restless_s=9),
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
        callers.append(Caller(f"citizen {number}", user, "self", (user,), token=kept, restless_s=20))
    for number, user in enumerate(users[:8]):
        sections = "section:eligibility section:deadlines"
        callers.append(Caller(f"agent {number}", f"agt:helper{number}", "agent", (user,), sections, act=user))
    return callers
