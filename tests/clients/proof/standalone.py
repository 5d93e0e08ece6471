"""What every proof with a server of its own has: its arguments, the server, and the report of its faults."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from .report import MAX_PRINTED_FAULTS
from .server import Server

#: Takes a server that is not started, and returns the faults and a summary of what was compared.
Proof = Callable[[Server], Awaitable[tuple[list[str], str]]]


@asynccontextmanager
async def own_server(program: Path, clock: Path) -> AsyncIterator[Server]:
    """Gives a server that is not started and has a directory of its own, and stops it at the end."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(program, Path(directory) / "data", clock, 0)
        try:
            yield server
        finally:
            await server.stop()


def arguments_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """Returns the parser of the arguments: the program of the server, and the library that moves its clock."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--server", type=Path, required=True)
    parser.add_argument("--clock", type=Path, required=True)
    return parser


def prove(name: str, description: str | None, proof: Proof) -> int:
    """Runs a proof and prints its faults and its summary. Returns the exit status: 1 if there were faults."""
    arguments = arguments_of(name, description).parse_args()

    async def run() -> tuple[list[str], str]:
        async with own_server(arguments.server, arguments.clock) as server:
            return await proof(server)

    faults, summary = asyncio.run(run())
    for fault in faults[:MAX_PRINTED_FAULTS]:
        print(f"FAULT: {name}: {fault}", file=sys.stderr)
    print(f"{name}: {summary}")
    return 1 if faults else 0
