"""Compares what each follower holds with what GET gives the same caller, byte for byte."""

from __future__ import annotations

import asyncio
import json
from datetime import date, datetime, timedelta, timezone
from typing import Any

from .api import Api
from .canonical import canonical
from .callers import Caller
from .client_groups import ClientGroup
from .report import Report
from .tokens import Minter

INDIA = timezone(timedelta(hours=5, minutes=30))
CATCH_UP_S = 20

Views = dict[tuple[str, str], str | None]


async def views(api: Api, minter: Minter, callers: list[Caller], report: Report) -> Views:
    """Returns what GET gives each caller for each user, in canonical form; `None` for 404."""
    found: Views = {}

    async def read(caller: Caller, token: str, user: str) -> None:
        query = "" if caller.fields is None else f"?fields={','.join(caller.fields)}"
        answer, _ = await api.call_until_answered(
            "GET", f"/api/v2/profile/{user}{query}", token, X_Access_Reason="test with independent clients",
        )
        if answer.status == 200:
            profile = answer.json()
            profile.pop("_meta", None)
            found[caller.name, user] = canonical(profile)
            if caller.fields is None and canonical(profile).encode() != answer.body:
                report.fault(f"GET does not give {user} to {caller.name} in canonical form")
        elif answer.status == 404:
            found[caller.name, user] = None
        else:
            report.fault(f"GET gives {answer.status} to {caller.name}")

    for caller in callers:
        token = minter.for_caller(caller)
        await asyncio.gather(*(read(caller, token, user) for user in caller.users))
    return found


async def compare(groups: list[ClientGroup], wanted: Views, report: Report) -> None:
    """Waits until the groups have caught up, and compares."""
    goals = {key: None if text is None else json.loads(text)["revision"] for key, text in wanted.items()}
    results = await asyncio.gather(*(group.reach(goals, CATCH_UP_S) for group in groups))
    for group, held in zip(groups, results, strict=True):
        counts = report.groups[group.name]
        for (caller, user), text in wanted.items():
            counts["documents equal to GET"] += held[caller, user] == text and text is not None
            counts["documents gone as GET is 404"] += held[caller, user] is None and text is None
            if held[caller, user] != text:
                report.fault(
                    f"{group.name}, {caller}: {user} is not what GET gives\n  held {held[caller, user]}\n  GET  {text}"
                )


def check_days(wanted: Views, today: date, report: Report) -> None:
    """Checks every number of days against `today`."""
    for (caller, user), text in wanted.items():
        deadlines: dict[str, Any] = json.loads(text).get("deadlines", {}) if text is not None else {}
        for name in ("upcoming", "overdue"):
            for item in deadlines.get(name, []):
                days = (date.fromisoformat(item["due_date"]) - today).days
                report.totals["deadlines recomputed for the new day"] += 1
                if item["days_remaining"] != days or (days < 0) != (name == "overdue"):
                    report.fault(f"{caller}: {user} on {today}: {name} holds {item}")


def day_of(instant_s: float) -> date:
    """Returns the calendar day in the server's time zone."""
    return datetime.fromtimestamp(instant_s, INDIA).date()
