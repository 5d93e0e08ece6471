"""A fuzzer that is driven by the description of the API finds no status, media type, header or shape that is not described, and no 500.

The fuzzer is Schemathesis. It calls every operation of both listeners with values that the description allows and with others, as
a citizen, a service and an administrator. Streams that do not end are left out, and what would end the run: revocations and
rotations of keys.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from .api import Api
from .events import Events, user_ids
from .standalone import arguments_of, own_server
from .tokens import Minter

SCOPES = "profile:read operate export events:read simulate feed:metadata live:many"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
)
LEFT_OUT = "/events$|/live$|/admin/keys/rotate$|/admin/revocations$"
EXAMPLES = os.environ.get("FUZZ_EXAMPLES") or "12"


async def fuzz(address: str, token: str, packages: Path, directory: Path) -> int:
    """Lets the fuzzer call one listener as one caller. Returns its exit status, and prints its report if it found something."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"http://{address}/api/v2/openapi.json",
        "--header", f"Authorization: Bearer {token}", "--header", "X-Access-Reason: a test", "--checks", ",".join(CHECKS),
        "--max-examples", EXAMPLES, "--exclude-path-regex", LEFT_OUT, "--phases", "examples,coverage,fuzzing", "--no-color",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(os.environ, PYTHONPATH=str(packages.resolve())), cwd=directory, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    report, _ = await process.communicate()
    if process.returncode != 0:
        print(report.decode(), file=sys.stderr)
    return process.returncode or 0


async def run(program: Path, clock: Path, packages: Path) -> int:
    """Returns the number of runs with faults."""
    faults, runs = 0, 0
    async with own_server(program, clock) as server:
        public = await server.start()
        minter, api, events = Minter(server.secret(), server.now_s), Api(server), Events("fuzz", server.now_s)
        (user,) = user_ids(1, "fuzz")
        for source, event in events.first(user):
            body, kind = json.dumps(event).encode(), "application/cloudevents+json"
            await api.call("POST", f"/api/v2/feeds/{source}", minter.feed(source), body, content_type=kind)
        admin = minter.token("adm:root", "admin", SCOPES, amr=["mfa"])
        callers = [(public, minter.token(user, "self", SCOPES, amr=["mfa"])), (public, admin)]
        callers += [(public, minter.token("svc:a", "service", SCOPES)), (server.admin_address, admin)]
        for address, token in callers:
            faults += await fuzz(address, token, packages, server.directory.parent) != 0
            runs += 1
        status = await server.stop()
        if status != 0 or "panicked" in server.log():
            print(f"FAULT: fuzz: the server exited with {status}\n{server.log_tail()}", file=sys.stderr)
            faults += 1
    print(f"fuzz: {runs} runs of the fuzzer, {faults} with faults")
    return faults


def main() -> int:
    """Returns the exit status: 1 if anything failed."""
    parser = arguments_of("fuzz", __doc__)
    parser.add_argument("--packages", type=Path, required=True, help="where Schemathesis is installed")
    arguments = parser.parse_args()
    return 1 if asyncio.run(run(arguments.server, arguments.clock, arguments.packages)) else 0


if __name__ == "__main__":
    sys.exit(main())
