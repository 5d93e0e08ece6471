"""The end: what each follower holds must be what GET gives the same caller, byte for byte."""

from __future__ import annotations

import asyncio
import json
from datetime import date, datetime, timedelta, timezone
from typing import Any

from .api import Api
from .canonical import canonical
from .cast import Caller
from .crew import Crew
from .report import Report
from .tokens import Minter

INDIA = timezone(timedelta(hours=5, minutes=30))
CATCH_UP_S = 20

Views = dict[tuple[str, str], str | None]


async def views(api: Api, minter: Minter, callers: list[Caller], report: Report) -> Views:
    """What GET gives to each caller of each user, in canonical form; `None` for 404."""
    found: Views = {}

    async def look(caller: Caller, token: str, user: str) -> None:
        query = "" if caller.fields is None else f"?fields={','.join(caller.fields)}"
        answer, _ = await api.call_until_answered(
            "GET", f"/api/v2/profile/{user}{query}", token, X_Access_Reason="proof by foreign clients",
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
        token = minter.of(caller)
        await asyncio.gather(*(look(caller, token, user) for user in caller.users))
    return found


async def compare(crews: list[Crew], wanted: Views, report: Report) -> None:
    """Waits until the crews caught up, and compares."""
    goals = {key: None if text is None else json.loads(text)["revision"] for key, text in wanted.items()}
    for crew, held in zip(crews, await asyncio.gather(*(crew.reach(goals, CATCH_UP_S) for crew in crews)), strict=True):
        counts = report.crews[crew.name]
        for (caller, user), text in wanted.items():
            counts["documents equal to GET"] += held[caller, user] == text and text is not None
            counts["documents gone as GET is 404"] += held[caller, user] is None and text is None
            if held[caller, user] != text:
                report.fault(
                    f"{crew.name}, {caller}: {user} is not what GET gives\n  held {held[caller, user]}\n  GET  {text}"
                )


def check_days(wanted: Views, today: date, report: Report) -> None:
    """Recomputes what depends on the day."""
    for (caller, user), text in wanted.items():
        deadlines: dict[str, Any] = json.loads(text).get("deadlines", {}) if text is not None else {}
        for name in ("upcoming", "overdue"):
            for item in deadlines.get(name, []):
                days = (date.fromisoformat(item["due_date"]) - today).days
                report.world["deadlines recomputed for the new day"] += 1
                if item["days_remaining"] != days or (days < 0) != (name == "overdue"):
                    report.fault(f"{caller}: {user} on {today}: {name} holds {item}")


def day_of(instant_s: float) -> date:
    """The calendar day in the server's time zone."""
    return datetime.fromtimestamp(instant_s, INDIA).date()
