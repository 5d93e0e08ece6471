"""Feed events for generated citizens. A seed repeats them, except for their times."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Data = dict[str, Any]

PLACES = [
    ("karnataka", "bengaluru_urban", "560001"), ("maharashtra", "pune", "411001"),
    ("kerala", "ernakulam", "682001"), ("tamil_nadu", "chennai", "600001"),
]
SCHEMES = [f"sch_{name}" for name in (
    "pm_kisan", "pmay_u", "ayushman", "ujjwala", "mudra", "atal_pension", "scholarship", "skill_india",
)]
STATUSES = ["not_applied", "applied", "under_review", "approved", "rejected", "active", "lapsed"]


def user_ids(count: int, seed: str) -> tuple[str, ...]:
    """Returns the ids of `count` generated citizens."""
    letters = random.Random(f"users {seed}")
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return tuple(f"usr_{number:03}{''.join(letters.choices(alphabet, k=11))}" for number in range(count))


class Events:
    """Generates random events."""

    def __init__(self, seed: str, now_s: Callable[[], float]) -> None:
        self._random = random.Random(f"events {seed}")
        self._now_s = now_s
        self._number = 0
        self._kinds: list[tuple[str, str, Callable[[], Data], int]] = [
            ("identity", "identity.verified", self._identity, 2),
            ("metadata", "user.metadata.updated", self._attributes, 6),
            ("self", "user.profile.edited", self._attributes, 3),
            ("eligibility", "eligibility.batch.computed", self._eligibility, 2),
            ("schemes", "scheme.application.status_changed", self._scheme_status, 4),
            ("deadlines", "deadline.detected", self._deadline, 4),
            ("deadlines", "deadline.completed", self._completion, 2),
            ("trust", "trust.score.updated", self._trust, 2),
            ("predictions", "prediction.generated", self._predictions, 3),
            ("analytics", "analytics.cohort.computed", self._cohort, 2),
        ]

    def event(self, subject: str, source: str, kind: str, data: Data) -> Data:
        """Returns an event with the present time. One in 20 is an hour old, and may be superseded."""
        self._number += 1
        age_s = 3_600 if self._random.random() < 0.05 and source != "consent" else 0
        at = datetime.fromtimestamp(self._now_s() - age_s, UTC)
        return {
            "specversion": "1.0", "id": f"{source}-{self._number}", "source": f"/engines/{source}", "type": kind,
            "subject": subject, "time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"), "data": data,
        }

    def first(self, subject: str) -> list[tuple[str, Data]]:
        """Returns one event of each kind except completions, so that every section has a value."""
        kinds = [kind for kind in self._kinds if kind[1] != "deadline.completed"]
        return [(source, self.event(subject, source, kind, make())) for source, kind, make, _ in kinds]

    def any(self, subjects: list[str]) -> tuple[str, list[Data]]:
        """Returns an event of one random kind for each subject."""
        source, kind, make, _ = self._random.choices(self._kinds, [weight for *_, weight in self._kinds])[0]
        return source, [self.event(subject, source, kind, make()) for subject in subjects]

    def _pick(self, *options: Any) -> Any:
        return self._random.choice(options)

    def _day(self, first: int, last: int) -> str:
        today = datetime.fromtimestamp(self._now_s(), timezone(timedelta(hours=5, minutes=30))).date()
        return (today + timedelta(days=self._random.randint(first, last))).isoformat()

    def _identity(self) -> Data:
        state, district, pincode = self._pick(*PLACES)
        identity = {
            "display_name": f"{self._pick('Asha', 'Ravi', 'Meena', 'José')} {self._pick('K', 'P', 'S')}.",
            "age_bracket": self._pick("18-29", "30-40", "41-59", "60+"),
            "gender": self._pick("male", "female", "other"),
            "category": self._pick("general", "obc", "sc", "st", "ews"),
            "verified_documents": self._random.sample(["aadhaar", "pan", "voter_id", "passport"], 2),
            "delegation_active": self._pick(True, False),
        }
        address = {"state": state, "district": district, "pincode": pincode}
        # 128 bits: of ten hexadecimal digits, one in 300 is a telephone number, and refused as such.
        token = f"tok_{self._random.randrange(16**32):032x}"
        return {"identity_token": token, "identity": identity, "address": address}

    def _attributes(self) -> Data:
        state, district, _ = self._pick(*PLACES)
        fields: dict[str, Data] = {
            "demographics": {
                "urban_rural": self._pick("urban", "rural", None), "residency_years": self._random.randint(0, 60),
                "state": self._pick(state, None), "district": district,
            },
            "economic": {
                "income_bracket": self._pick("0-2.5L", "2.5L-5L", "5L-10L", None),
                "employment_type": self._pick("salaried", "agriculture", "unemployed"),
                "bpl_status": self._pick(True, False), "ration_card_type": self._pick("APL", "BPL", "none"),
            },
            "family": {
                "marital_status": self._pick("single", "married"), "dependents": self._random.randint(0, 5),
                "members_count": self._random.randint(1, 8), "children_school_age": self._pick(0, 1, 2, None),
            },
        }
        chosen = self._random.sample(sorted(fields), self._random.randint(1, 3))
        return {"fields": {name: fields[name] for name in chosen}}

    def _eligibility(self) -> Data:
        schemes = []
        for scheme in self._random.sample(SCHEMES, self._random.randint(1, len(SCHEMES))):
            schemes.append({
                "scheme_id": scheme, "scheme_name": f"Scheme {scheme}", "application_status": self._pick(*STATUSES),
                "confidence": round(self._random.random(), 3), "matched_rules": ["rule_income_cap"],
                "annual_benefit_inr": self._random.randrange(0, 50_000, 500),
            })
        return {"schemes": schemes}

    def _scheme_status(self) -> Data:
        return {"scheme_id": self._pick(*SCHEMES), "application_status": self._pick(*STATUSES)}

    def _deadline_id(self) -> str:
        return f"dl_{self._random.randint(1, 6)}"

    def _deadline(self) -> Data:
        return {
            "deadline_id": self._deadline_id(), "type": "renewal", "description": "Renew the card: नवीनीकरण",
            "due_date": self._day(-1, 9), "priority": self._pick("low", "medium", "high", "critical"),
            "action_url": "/renew",
        }

    def _completion(self) -> Data:
        at = datetime.fromtimestamp(self._now_s() - 60, UTC)
        return {"deadline_id": self._deadline_id(), "completed_at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _trust(self) -> Data:
        return {
            "overall_confidence": self._pick("low", "medium", "high"),
            "source_trace": {"identity": f"verified_{self._day(-9, 0)}"},
            "source_confidence": {
                "metadata": {"confidence": round(self._random.random(), 2), "fields": ["economic.income_bracket"]},
            },
        }

    def _predictions(self) -> Data:
        risks = ("deadline_miss_risk", "benefit_lapse_risk", "tax_penalty_risk", "document_expiry_risk")
        return {
            "predicted_events": [{
                "event": self._pick("retirement", "child_school_admission"), "estimated_date": self._day(30, 90),
                "related_schemes": [self._pick(*SCHEMES)], "confidence": round(self._random.random(), 2),
            }],
            "recommended_actions": [{
                "action": "apply_scheme", "scheme_id": self._pick(*SCHEMES), "reason": "a good match", "priority": 1,
            }],
            "risk_scores": {risk: round(self._random.random(), 3) for risk in risks},
        }

    def _cohort(self) -> Data:
        tags = ["urban_professional", "young_family", "tax_compliant", "first_home", "migrant"]
        return {"cohort_tags": self._random.sample(tags, self._random.randint(1, 4))}
