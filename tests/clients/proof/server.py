"""The server process, with its own data directory and wall clock."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path

#: Rate limits that no client reaches.
HIGH_LIMITS = Path(__file__).parents[2] / "support" / "high-limits.toml"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30

#: Small queues and segments, so that a short run reaches their limits.
SETTINGS = """
[http]
max_event_bytes = 65_536
[journal]
segment_mib = 1
[checkpoint]
interval_s = 5
[auth]
leeway_s = 1
[live]
outlet_queue_frames = 32
heartbeat_s = 5
[actors]
day_roll_spread_s = 3
"""


class Server:
    """A server that can be killed and started again on the same data."""

    def __init__(self, program: Path, directory: Path, clock_library: Path, clock_offset_s: int) -> None:
        self.clock_offset_s = clock_offset_s
        self.admin_address = ""
        self.program, self.directory = program, directory
        self._environment = {"LD_PRELOAD": str(clock_library), "CLOCK_OFFSET_S": str(clock_offset_s)}
        self._process: asyncio.subprocess.Process | None = None
        self._address = ""
        self._is_up = asyncio.Event()
        directory.mkdir(parents=True)
        (directory / "config.local.toml").write_text(SETTINGS)
        (directory / "limits.toml").write_bytes(HIGH_LIMITS.read_bytes())

    def now_s(self) -> float:
        """Returns the time of the server's wall clock, in seconds since the Unix epoch."""
        return time.time() + self.clock_offset_s

    def move_clock(self, offset_s: int) -> None:
        """Gives the server another wall clock from its next start on."""
        self.clock_offset_s = offset_s
        self._environment["CLOCK_OFFSET_S"] = str(offset_s)

    async def address(self) -> str:
        """Waits until the server is ready, and returns its address."""
        await self._is_up.wait()
        return self._address

    async def start(self) -> str:
        """Starts the server, and returns its address when it is ready."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self.program, "serve", "--data-dir", self.directory,
                "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start:\n{self.log_tail()}")
        ready = json.loads(line)
        self._address = ready["listen"].removeprefix("http://")
        self.admin_address = ready["admin_listen"].removeprefix("http://")
        self._is_up.set()
        return self._address

    async def kill(self) -> None:
        """Sends SIGKILL. The server must have run until then."""
        self._is_up.clear()
        assert self._process is not None
        if self._process.returncode is not None:
            raise RuntimeError(f"the server ended by itself: {self._process.returncode}\n{self.log_tail()}")
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int | None:
        """Sends SIGTERM and returns the exit status, or `None` if the server had ended before."""
        if self._process is None or self._process.returncode is not None:
            return None
        self._is_up.clear()
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    def secret(self) -> bytes:
        """Returns the secret that signs tokens in development."""
        for line in (self.directory / ".env").read_text().splitlines():
            name, _, value = line.partition("=")
            if name == "PROFILE_SERVER_DEV_SECRET":
                return base64.b64decode(value)
        raise RuntimeError("the server made no development secret")

    def log_tail(self) -> str:
        """Returns the last lines of the log."""
        return "\n".join(self.log().splitlines()[-40:])

    def log(self) -> str:
        """Returns the log."""
        return (self.directory / "server.log").read_text(errors="replace")
