"""The run, in order: seed, follow, load and kill, the turn of the day, load and kill again, compare."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from . import breaches, verdict
from .api import Api
from .cast import Caller, cast
from .crew import Crew, NodeCrew, PythonCrew
from .desk import Desk
from .events import Events, user_ids
from .load import Consents, Feeder
from .report import Report
from .server import Server
from .tokens import Minter

USERS = 200
EVENTS_PER_SECOND = 60
CONSENTS_PER_SECOND = 8
#: From the first start to the beginning of the load.
PREPARATION_S = 9
#: Everything but the load takes less, or something hangs.
OVERHEAD_S = 150
#: Before midnight the load stops, so that everybody is compared by then.
CALM_S = 8
MIDNIGHT = datetime(2026, 1, 21, tzinfo=verdict.INDIA).timestamp()

REQUIRED_OF_THE_WORLD = (
    "events applied",
    "events unchanged",
    "consents changed by PUT",
    "consents changed by the feed",
    "kills",
    "breaches of RFC 6455 answered",
    "deadlines recomputed for the new day",
)
REQUIRED_OF_THE_CREWS = (
    "frames: profile",
    "frames: patch",
    "frames: gone",
    "frames: pong",
    "frames: completeness",
    "patches applied",
    "view hashes compared",
    "revisions crossed by one patch",
    "left with a close",
    "left without a word",
    "connections refused or cut",
    "resumes: continued by a patch",
    "gaps healed by the cursor",
    "pauses of the slow",
    "tokens renewed",
    "sockets that outlived their first token",
    "tokens that expired (4401)",
    "withdrawals watched to the next frame",
    "the day's turn as a patch",
    "documents equal to GET",
    "documents gone as GET is 404",
)
#: From midnight until everybody's view has turned; the server spreads it over 3 s.
DAY_TURN_S = 15
#: Share of the views that may have subscribed again at midnight, because a token expired. They get the new day as an answer.
ANSWERED_SHARE = 0.05
#: Of all resumes, so many must have been continued and not begun anew.
CONTINUED_SHARE = 0.9


class Run:
    """Everybody on stage."""

    def __init__(self, directory: Path, program: Path, clock_library: Path, seed: str, seconds: float) -> None:
        self.report = Report()
        self.half_s = seconds / 2
        self._random = random.Random(f"run {seed}")
        users = user_ids(USERS, seed)
        self.callers: list[Caller] = cast(users)
        offset_s = int(MIDNIGHT - PREPARATION_S - self.half_s - CALM_S - time.time())
        self.server = Server(program, directory, clock_library, offset_s)
        self.desk = Desk(self.report, self.callers, users)
        self.api = Api(self.server)
        self.crews: list[Crew] = []
        self._seed, self._users = seed, users

    async def run(self) -> None:
        """The whole of it, and the end of every process."""
        try:
            async with asyncio.timeout(2 * self.half_s + OVERHEAD_S):
                await self._play()
        finally:
            for crew in self.crews:
                await crew.end()
            status = await self.server.stop()
        if status != 0:
            self.report.fault(f"the server ended with {status} when it was told to stop")
        if "panicked" in self.server.log():
            self.report.fault("the server's log speaks of a panic")

    async def _play(self) -> None:
        await self.server.start()
        minter = Minter(self.server.secret(), self.server.now_s)
        events = Events(self._seed, self.server.now_s)
        python = PythonCrew(self.callers, self.desk, self.server, minter, self._seed)
        self.crews = [python, NodeCrew(self.callers, self.desk, self.server, minter, self._seed)]
        self.feeder = Feeder(self.api, minter, events, self.report, self._users, self._seed)
        self.consents = Consents(self.api, minter, events, self.desk, self._users, self._seed, self._tell_withdrawn)
        await self.feeder.seed()
        await breaches.check(await self.server.address(), minter.token(self._users[0], "self"), self.report)
        for crew in self.crews:
            await crew.begin()
        await self.consents.seed()
        await self._under_load(MIDNIGHT - CALM_S - self.server.now_s())
        await self._turn_the_day(python, minter)
        await self._under_load(self.half_s)
        await self._rest(True)
        wanted = await verdict.views(self.api, minter, self.callers, self.report)
        await verdict.compare(self.crews, wanted, self.report)
        verdict.check_days(wanted, verdict.day_of(self.server.now_s()), self.report)
        self._require()

    async def _under_load(self, seconds: float) -> None:
        """Feeds, changes consents, and kills the server a few times."""
        is_on = asyncio.Event()
        is_on.set()
        load = [
            asyncio.create_task(self.feeder.run(EVENTS_PER_SECOND, is_on)),
            asyncio.create_task(self.consents.run(CONSENTS_PER_SECOND, is_on)),
        ]
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 5:
            await asyncio.sleep(min(left - 3, self._random.uniform(5, 8)))
            await self.server.kill()
            self.report.world["kills"] += 1
            address = await self.server.start()
            for crew in self.crews:
                await crew.server_is_at(address)
        await asyncio.sleep(max(0, end - time.monotonic()))
        is_on.clear()
        await asyncio.gather(*load)

    async def _turn_the_day(self, python: PythonCrew, minter: Minter) -> None:
        """Midnight comes while nobody posts: whoever sees deadlines gets their new days unasked."""
        await self._rest(True)
        await verdict.compare(self.crews, await verdict.views(self.api, minter, self.callers, self.report), self.report)
        if self.server.now_s() >= MIDNIGHT:
            self.report.fault("midnight came too early for a calm look: the machine is too slow for this run")
        watchers = {
            (crew.name, caller.name, user)
            for crew in self.crews
            for caller in self.callers
            for user in caller.users
            if has_deadlines(python.profile(caller.name, user))
        }
        self.desk.day_turns, self.desk.day_answers = set(), set()
        try:
            async with asyncio.timeout(MIDNIGHT + DAY_TURN_S - self.server.now_s()):
                while not watchers <= self.desk.day_turns | self.desk.day_answers:
                    self.desk.turned.clear()
                    await self.desk.turned.wait()
        except TimeoutError:
            pass
        unpushed = watchers - self.desk.day_turns
        missing = unpushed - self.desk.day_answers
        if missing or len(unpushed) > ANSWERED_SHARE * len(watchers):
            self.report.fault(
                f"{len(missing)} of {len(watchers)} views did not turn with the day, and {len(unpushed - missing)} only with "
                f"an answer to a subscribe: {min(unpushed)}"
            )
        self.desk.day_turns = None
        await self._rest(False)

    async def _rest(self, is_resting: bool) -> None:
        for crew in self.crews:
            await crew.rest(is_resting)

    async def _tell_withdrawn(self, user: str, revision: int) -> None:
        for crew in self.crews:
            await crew.withdrawn(user, revision)

    def _require(self) -> None:
        self.report.require(REQUIRED_OF_THE_WORLD, REQUIRED_OF_THE_CREWS)
        for crew, counts in self.report.crews.items():
            continued = counts["resumes: continued by a patch"] + counts["resumes: continued by a profile"]
            resumes = continued + counts["resumes: reset"]
            if continued < CONTINUED_SHARE * resumes:
                self.report.fault(f"of {resumes} resumes by the {crew} followers only {continued} were continued")


def has_deadlines(profile: dict[str, Any] | None) -> bool:
    """Whether it shows a number of days that changes at midnight."""
    deadlines = (profile or {}).get("deadlines", {})
    return bool(deadlines.get("upcoming") or deadlines.get("overdue"))


def main() -> int:
    """Runs and reports; 1 when there was any fault."""
    parser = argparse.ArgumentParser(prog="proof", description=__doc__)
    parser.add_argument("--server", type=Path, required=True, help="the built profile-server")
    parser.add_argument("--clock", type=Path, required=True, help="clock_offset.c, built as a library")
    parser.add_argument("--directory", type=Path, required=True, help="for the server's data; it is emptied")
    arguments = parser.parse_args()
    seed = os.environ.get("CLIENTS_SEED") or str(random.SystemRandom().randrange(1_000_000))
    seconds = float(os.environ.get("CLIENTS_SECONDS") or 24)
    shutil.rmtree(arguments.directory, ignore_errors=True)
    run = Run(arguments.directory, arguments.server, arguments.clock, seed, seconds)
    began = time.monotonic()
    try:
        asyncio.run(run.run())
    except Exception as error:
        run.report.fault(f"the run broke off: {error!r}")
    run.report.print()
    took = time.monotonic() - began
    if run.report.faults:
        count = f"{len(run.report.faults)} faults in {took:.0f} s"
        print(f"foreign clients: {count}; CLIENTS_SEED={seed} repeats the events", file=sys.stderr)
        print(f"the server's log lies in {arguments.directory}", file=sys.stderr)
        return 1
    print(f"foreign clients: all equal after {took:.0f} s (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
