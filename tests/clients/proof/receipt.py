"""Receipts of erasures, checked by a client that has only the log's public key: `receipt_proof.py`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from .api import Api
from .server import Server
from .standalone import prove
from .tokens import Minter

SCRIPT = Path(__file__).resolve().parent.parent / "receipt_proof.py"
USERS = [f"usr_Receipt{number:05}" for number in range(7)]
#: Whose erasure is scheduled.
LATER = "usr_ReceiptLater1"
DAY_S = 86_400
PATIENCE_S = 60
#: The end of a retention counts at once.
SETTINGS = "[store]\nconfirm_clock_s = 0\n"


def check(key: str, user: str, receipt: str) -> int:
    """Runs the script on a receipt, and returns its exit status."""
    command = [sys.executable, SCRIPT, key, user]
    return subprocess.run(command, input=receipt.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def event(user: str) -> bytes:
    """Returns an event that makes a profile."""
    return json.dumps({
        "specversion": "1.0", "id": f"first-{user}", "source": "/engines/metadata", "type": "user.metadata.updated",
        "subject": user, "time": "2026-01-10T06:00:00Z", "data": {"fields": {"demographics": {"residency_years": 5}}},
    }).encode()


async def receipts(server: Server) -> tuple[str, list[str]]:
    """Erases users, and returns the public key and their receipts."""
    await server.start()
    minter = Minter(server.secret(), server.now_s)
    api = Api(server)
    found = []
    for user in USERS:
        posted = await api.call("POST", "/api/v2/feeds/metadata", minter.feed("metadata"), event(user),
                                Content_Type="application/cloudevents+json")
        assert posted is not None and posted.status == 200, posted
        citizen = minter.token(user, "self", amr=["mfa"])
        erased = await api.call("DELETE", f"/api/v2/profile/{user}", citizen)
        assert erased is not None and erased.status == 200, erased
        again = await api.call("DELETE", f"/api/v2/profile/{user}", citizen)
        assert again is not None and again.body == erased.body, again
        found.append(erased.body.decode())
    found.append(await scheduled(server, api, minter))
    head = await api.call("GET", "/api/v2/audit/tree-head", minter.token(USERS[0], "self"))
    assert head is not None
    return head.json()["public_key"], found


async def scheduled(server: Server, api: Api, minter: Minter) -> str:
    """Schedules an erasure, kills the server, starts it when its day is over, and returns the receipt."""
    path = f"/api/v2/profile/{LATER}"
    posted = await api.call("POST", "/api/v2/feeds/metadata", minter.feed("metadata"), event(LATER),
                            Content_Type="application/cloudevents+json")
    assert posted is not None and posted.status == 200, posted
    answer = await api.call("DELETE", f"{path}?retain_days=1", minter.token(LATER, "self", amr=["mfa"]))
    assert answer is not None and answer.status == 202, answer
    await server.kill()
    for offset_s, problem in ((0, "erasure-pending"), (DAY_S + 60, "erased")):
        server.move_clock(offset_s)
        await server.start()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                read = await api.call("GET", path, minter.token(LATER, "self"))
                assert read is not None and read.status == 410, read
                if read.json()["type"].endswith(f"/{problem}"):
                    break
                await asyncio.sleep(0.1)
        if problem == "erasure-pending":
            await server.kill()
    erased = await api.call("DELETE", path, minter.token(LATER, "self", amr=["mfa"]))
    assert erased is not None and erased.status == 200, erased
    return erased.body.decode()


async def run(server: Server) -> tuple[list[str], str]:
    """Returns the faults, and a summary of what was compared."""
    with (server.directory / "config.local.toml").open("a") as settings:
        settings.write(SETTINGS)
    key, found = await receipts(server)
    faults = [f"the receipt of {user} does not hold" for user, text in zip([*USERS, LATER], found, strict=True) if check(key, user, text) != 0]
    user, text = USERS[4], found[4]
    receipt = json.loads(text)
    for name in ("commitment", "nonce", "slot", "generation", "leaf"):
        value = receipt[name]
        other = value + 1 if isinstance(value, int) else value[:-1] + ("0" if value[-1] != "0" else "1")
        changed = json.dumps(receipt | {name: other}, sort_keys=True, separators=(",", ":"))
        if check(key, user, changed) == 0:
            faults.append(f"`{name}` was changed, and the receipt holds")
    if check(key, USERS[5], text) == 0:
        faults.append("the receipt holds for somebody else")
    if check("0" * 62 + "01", user, text) == 0:
        faults.append("another key signs as well")
    return faults, f"{len(found)} receipts of erasures proved by the public key alone"


if __name__ == "__main__":
    sys.exit(prove("receipt", __doc__, run))
