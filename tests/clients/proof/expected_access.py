"""Which leaves each caller may see: an independent table, taken from the specification and not from the server.

Leaves are dotted paths: `demographics.state`, or `cohort_tags` where the member itself is the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ENVELOPE = frozenset({
    "schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash",
})

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "identity": ("display_name", "age_bracket", "gender", "category", "verified_documents", "delegation_active"),
    "demographics": ("state", "district", "urban_rural", "pincode", "residency_years"),
    "economic": ("income_bracket", "employment_type", "tax_regime", "bpl_status", "ration_card_type"),
    "family": ("marital_status", "dependents", "members_count", "senior_citizen_dependents", "children_school_age"),
    "eligibility": (
        "eligible_schemes", "total_eligible", "total_applied", "total_active", "potential_annual_benefit_inr",
    ),
    "deadlines": ("upcoming", "overdue", "completed_last_90d"),
    "risk_scores": (
        "deadline_miss_risk", "benefit_lapse_risk", "tax_penalty_risk", "document_expiry_risk", "overall",
    ),
    "predictions": ("predicted_events", "recommended_actions"),
    "trust": ("overall_confidence", "data_freshness_hours", "source_trace"),
    "consent": ("data_sharing_level", "analytics_opt_in", "third_party_sharing", "consent_updated_at"),
}
SINGLE = ("identity_token", "profile_completeness_pct", "cohort_tags")


def section(name: str) -> frozenset[str]:
    """Returns all leaves of a section."""
    return frozenset(f"{name}.{leaf}" for leaf in SECTIONS[name])


EVERYTHING = frozenset(SINGLE).union(*(section(name) for name in SECTIONS))

SERVICE_MINIMAL = frozenset({"demographics.state", "identity.age_bracket"})
SERVICE_STANDARD = SERVICE_MINIMAL | section("eligibility") | {
    "demographics.district", "economic.income_bracket", "family.members_count", "identity.gender", "identity.category",
}
SERVICE_FULL = SERVICE_STANDARD | section("deadlines") | section("risk_scores") | {
    "economic.employment_type", "profile_completeness_pct", "cohort_tags",
}
SERVICE = {"minimal": SERVICE_MINIMAL, "standard": SERVICE_STANDARD, "full": SERVICE_FULL}

AI_STANDARD = section("predictions") | section("trust")
AI_CONTEXT = {
    "minimal": frozenset[str](),
    "standard": AI_STANDARD,
    "full": AI_STANDARD | section("economic") | section("family"),
}


@dataclass(frozen=True)
class Consent:
    """The citizen's consent, as far as masks depend on it. The defaults apply when no consent is on record."""

    level: str = "minimal"
    third_party_sharing: bool = False


@dataclass(frozen=True)
class Viewer:
    """A caller, as far as masks depend on it."""

    role: str
    scopes: frozenset[str]
    fields: frozenset[str] | None = None

    def visible_leaves(self, consent: Consent) -> frozenset[str] | None:
        """Returns the visible leaves outside the envelope, or `None` if the user is hidden."""
        mask = self._mask(consent)
        return mask if mask is None or self.fields is None else mask & self.fields

    def _mask(self, consent: Consent) -> frozenset[str] | None:
        if self.role == "self":
            return EVERYTHING
        if self.role == "admin":
            return EVERYTHING if "profile:read" in self.scopes else None
        if self.role == "agent":
            names = (scope.removeprefix("section:") for scope in self.scopes if scope.startswith("section:"))
            return frozenset[str]().union(*(section(name) for name in names))
        if self.role != "service" or "profile:read" not in self.scopes:
            return None
        if "third_party" in self.scopes and not consent.third_party_sharing:
            return None
        extra = AI_CONTEXT[consent.level] if "ai_context" in self.scopes else frozenset[str]()
        return SERVICE[consent.level] | extra


def leaves_of_names(names: Iterable[str]) -> frozenset[str]:
    """Returns the leaves that `fields` selects; unknown names select nothing."""
    found: set[str] = set()
    for name in names:
        found |= section(name) if name in SECTIONS else {name} & EVERYTHING
    return frozenset(found)


def leaves_of_document(document: Mapping[str, Any]) -> set[str]:
    """Returns the leaves of a profile. A name outside the table is returned as it is, and no caller may see it."""
    found: set[str] = set()
    for name, value in document.items():
        if name in SECTIONS and isinstance(value, dict):
            found |= {f"{name}.{leaf}" for leaf in value}
        elif name not in ENVELOPE:
            found.add(name)
    return found


def leaves_of_operation(operation: Mapping[str, Any]) -> set[str]:
    """Returns the leaves that an operation of RFC 6902 reads or writes."""
    member, *below = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
    if member not in SECTIONS:
        return {member}
    if below:
        return {f"{member}.{below[0]}"}
    return leaves_of_document({member: operation["value"]}) if "value" in operation else set()


class ConsentHistory:
    """One user's consent by revision, as acknowledged."""

    def __init__(self) -> None:
        self.current = Consent()
        self.in_flight = False
        self._changes: list[tuple[int, int, Consent]] = []

    def record(self, revision: int, consent: Consent, *, is_exact: bool) -> None:
        """Records a consent from `revision` on; if not exact, from any revision after the last change."""
        last = self._changes[-1][1] if self._changes else 0
        self._changes.append((revision if is_exact else min(last + 1, revision), revision, consent))
        self.current = consent

    def possible(self, revision: int) -> set[Consent]:
        """Returns the consents that may have applied at a revision."""
        held = {Consent()}
        for first, last, consent in self._changes:
            if revision >= last:
                held = {consent}
            elif revision >= first:
                held.add(consent)
        return held
