"""The steps of the run: seed, follow, load and kill, change of day, load and kill again, compare."""

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

from . import comparison, protocol_violations
from .api import Api
from .callers import Caller, all_callers
from .client_groups import ClientGroup, NodeClients, PythonClients
from .events import Events, user_ids
from .frame_checks import FrameChecks
from .load import Consents, Feeder
from .report import Report
from .server import Server
from .tokens import Minter

USERS = 200
EVENTS_PER_SECOND = 60
CONSENTS_PER_SECOND = 8
#: From the first start to the beginning of the load.
PREPARATION_S = 9
#: Time limit for everything but the load.
OVERHEAD_S = 150
#: The load stops this long before midnight, so that all followers are compared by then.
QUIET_S = 8
MIDNIGHT = datetime(2026, 1, 21, tzinfo=comparison.INDIA).timestamp()

REQUIRED_OF_THE_RUN = (
    "events applied",
    "events unchanged",
    "consents changed by PUT",
    "consents changed by the feed",
    "kills",
    "violations of RFC 6455 answered",
    "deadlines recomputed for the new day",
)
REQUIRED_OF_THE_CLIENTS = (
    "frames: profile",
    "frames: patch",
    "frames: gone",
    "frames: pong",
    "frames: completeness",
    "patches applied",
    "view hashes compared",
    "revisions crossed by one patch",
    "disconnected with a close",
    "disconnected without a close",
    "connections refused or cut",
    "resumes: continued by a patch",
    "gaps closed by the cursor",
    "pauses in reading",
    "tokens renewed",
    "sockets that outlived their first token",
    "tokens that expired (4401)",
    "withdrawals checked with a ping",
    "new day sent as a patch",
    "documents equal to GET",
    "documents gone as GET is 404",
)
#: Time after midnight by which every view must show the new day; the server spreads the updates over 3 s.
MIDNIGHT_TIMEOUT_S = 15
#: Maximum share of views that get the new day in the answer to a subscribe, because a token expired at midnight.
ANSWERED_SHARE = 0.05
#: Minimum share of the resumes that must continue from the cursor and not start over.
CONTINUED_SHARE = 0.9


class Run:
    """One run: the server, the load and both groups of followers."""

    def __init__(self, directory: Path, program: Path, clock_library: Path, seed: str, seconds: float) -> None:
        self.report = Report()
        self.half_s = seconds / 2
        self._random = random.Random(f"run {seed}")
        users = user_ids(USERS, seed)
        self.callers: list[Caller] = all_callers(users)
        offset_s = int(MIDNIGHT - PREPARATION_S - self.half_s - QUIET_S - time.time())
        self.server = Server(program, directory, clock_library, offset_s)
        self.checks = FrameChecks(self.report, self.callers, users)
        self.api = Api(self.server)
        self.groups: list[ClientGroup] = []
        self._seed, self._users = seed, users

    async def run(self) -> None:
        """Executes all steps and ends every process."""
        try:
            async with asyncio.timeout(2 * self.half_s + OVERHEAD_S):
                await self._run_steps()
        finally:
            for group in self.groups:
                await group.end()
            status = await self.server.stop()
        if status != 0:
            self.report.fault(f"the server exited with {status} after SIGTERM")
        if "panicked" in self.server.log():
            self.report.fault("the server's log reports a panic")

    async def _run_steps(self) -> None:
        await self.server.start()
        minter = Minter(self.server.secret(), self.server.now_s)
        events = Events(self._seed, self.server.now_s)
        python = PythonClients(self.callers, self.checks, self.server, minter, self._seed)
        self.groups = [python, NodeClients(self.callers, self.checks, self.server, minter, self._seed)]
        self.feeder = Feeder(self.api, minter, events, self.report, self._users, self._seed)
        self.consents = Consents(
            self.api, minter, events, self.checks, self._users, self._seed, self._on_consent_change,
        )
        await self.feeder.seed()
        await protocol_violations.check(await self.server.address(), minter.token(self._users[0], "self"), self.report)
        for group in self.groups:
            await group.begin()
        await self.consents.seed()
        await self._under_load(MIDNIGHT - QUIET_S - self.server.now_s())
        await self._pass_midnight(python, minter)
        await self._under_load(self.half_s)
        await self._rest(True)
        wanted = await comparison.views(self.api, minter, self.callers, self.report)
        await comparison.compare(self.groups, wanted, self.report)
        comparison.check_days(wanted, comparison.day_of(self.server.now_s()), self.report)
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
            self.report.totals["kills"] += 1
            address = await self.server.start()
            for group in self.groups:
                await group.server_is_at(address)
        await asyncio.sleep(max(0, end - time.monotonic()))
        is_on.clear()
        await asyncio.gather(*load)

    async def _pass_midnight(self, python: PythonClients, minter: Minter) -> None:
        """Lets midnight pass without load. Every view with deadlines must be sent its new day without a request."""
        await self._rest(True)
        wanted = await comparison.views(self.api, minter, self.callers, self.report)
        await comparison.compare(self.groups, wanted, self.report)
        if self.server.now_s() >= MIDNIGHT:
            self.report.fault("midnight came before the followers were compared: the machine is too slow for this run")
        expected = {
            (group.name, caller.name, user)
            for group in self.groups
            for caller in self.callers
            for user in caller.users
            if has_deadlines(python.profile(caller.name, user))
        }
        self.checks.day_pushes, self.checks.day_answers = set(), set()
        try:
            async with asyncio.timeout(MIDNIGHT + MIDNIGHT_TIMEOUT_S - self.server.now_s()):
                while not expected <= self.checks.day_pushes | self.checks.day_answers:
                    self.checks.day_changed.clear()
                    await self.checks.day_changed.wait()
        except TimeoutError:
            pass
        unpushed = expected - self.checks.day_pushes
        missing = unpushed - self.checks.day_answers
        if missing or len(unpushed) > ANSWERED_SHARE * len(expected):
            self.report.fault(
                f"{len(missing)} of {len(expected)} views did not get the new day, and {len(unpushed - missing)} only "
                f"with an answer to a subscribe: {min(unpushed)}"
            )
        self.checks.day_pushes = None
        await self._rest(False)

    async def _rest(self, is_resting: bool) -> None:
        for group in self.groups:
            await group.rest(is_resting)

    async def _on_consent_change(self, user: str, revision: int) -> None:
        for group in self.groups:
            await group.withdrawn(user, revision)

    def _require(self) -> None:
        self.report.require(REQUIRED_OF_THE_RUN, REQUIRED_OF_THE_CLIENTS)
        for group, counts in self.report.groups.items():
            continued = counts["resumes: continued by a patch"] + counts["resumes: continued by a profile"]
            resumes = continued + counts["resumes: reset"]
            if continued < CONTINUED_SHARE * resumes:
                self.report.fault(f"of {resumes} resumes by the {group} followers only {continued} were continued")


def has_deadlines(profile: dict[str, Any] | None) -> bool:
    """Whether the profile shows a number of days that changes at midnight."""
    deadlines = (profile or {}).get("deadlines", {})
    return bool(deadlines.get("upcoming") or deadlines.get("overdue"))


def main() -> int:
    """Runs, prints the report, and returns the exit status: 1 if there was any fault."""
    parser = argparse.ArgumentParser(prog="proof", description=__doc__)
    parser.add_argument("--server", type=Path, required=True, help="the built profile-server")
    parser.add_argument("--clock", type=Path, required=True, help="clock_offset.c, built as a library")
    parser.add_argument("--directory", type=Path, required=True, help="for the server's data; emptied first")
    arguments = parser.parse_args()
    seed = os.environ.get("CLIENTS_SEED") or str(random.SystemRandom().randrange(1_000_000))
    seconds = float(os.environ.get("CLIENTS_SECONDS") or 24)
    shutil.rmtree(arguments.directory, ignore_errors=True)
    run = Run(arguments.directory, arguments.server, arguments.clock, seed, seconds)
    began = time.monotonic()
    try:
        asyncio.run(run.run())
    except Exception as error:
        run.report.fault(f"the run failed: {error!r}")
    run.report.print()
    took = time.monotonic() - began
    if run.report.faults:
        count = f"{len(run.report.faults)} faults in {took:.0f} s"
        print(f"foreign clients: {count}; CLIENTS_SEED={seed} repeats the events", file=sys.stderr)
        print(f"the server's log is in {arguments.directory}", file=sys.stderr)
        return 1
    print(f"foreign clients: all equal after {took:.0f} s (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
