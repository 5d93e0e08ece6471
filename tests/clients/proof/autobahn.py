"""Autobahn's fuzzing client against the server's WebSocket layer, in the example `websocket_echo`.

The cases and their verdicts are those of the Autobahn Testsuite; `kosoku` runs them under a current Python.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from kosoku import FailureError, run_fuzzingclient

#: permessage-deflate (12 and 13) is not offered here.
EXCLUDED = ["12.*", "13.*"]
#: Number of cases that must run.
CASES = 301
AT_ONCE = 4
TIMEOUT_S = 120


async def fuzz(program: Path) -> int:
    """Runs every case, prints the failed ones, and returns their number."""
    echo = await asyncio.create_subprocess_exec(program, stdout=asyncio.subprocess.PIPE)
    try:
        assert echo.stdout is not None
        address = (await echo.stdout.readline()).decode().strip()
        async with asyncio.timeout(TIMEOUT_S):
            results = await run_fuzzingclient(address, exclude_cases=EXCLUDED, concurrency=AT_ONCE)
    except FailureError as failure:
        results = failure.results
    finally:
        echo.kill()
        await echo.wait()
    failed = [result for result in results if not result.passed]
    for result in failed:
        print(f"FAULT: Autobahn {result.case_id}: {result.behavior.value}, close {result.behavior_close.value}: "
              f"{result.result} {result.result_close}", file=sys.stderr)
    if len(results) != CASES:
        print(f"FAULT: {len(results)} cases of Autobahn were run, and not {CASES}", file=sys.stderr)
    print(f"autobahn: {len(results) - len(failed)} of {len(results)} cases passed")
    return len(failed) + (len(results) != CASES)


def main() -> int:
    """Returns the exit status: 1 if any case failed."""
    parser = argparse.ArgumentParser(prog="autobahn", description=__doc__)
    parser.add_argument("--echo", type=Path, required=True, help="the built example websocket_echo")
    return 1 if asyncio.run(fuzz(parser.parse_args().echo)) else 0


if __name__ == "__main__":
    sys.exit(main())
