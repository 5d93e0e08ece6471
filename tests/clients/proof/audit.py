"""The audit log, checked by a client that has only its public key: `audit_proof.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .api import Api
from .server import Server
from .standalone import prove
from .tokens import Minter

SCRIPT = Path(__file__).resolve().parent.parent / "audit_proof.py"
USER = "usr_7Qm2Xr9TzKpA"
READS = 5


def check(key: str, answer: str) -> int:
    """Runs the script on an answer, and returns its exit status."""
    return subprocess.run([sys.executable, SCRIPT, key], input=answer.encode(), stderr=subprocess.DEVNULL).returncode


async def answers(server: Server) -> tuple[str, str]:
    """Makes entries, and returns the public key and the citizen's access log."""
    await server.start()
    minter = Minter(server.secret(), server.now_s)
    api = Api(server)
    for number in range(READS):
        token = minter.token("adm:asha", "admin", "profile:read")
        await api.call("GET", f"/api/v2/profile/{USER}", token, x_access_reason=f"complaint {number}")
    citizen = minter.token(USER, "self")
    answer = await api.call("GET", f"/api/v2/profile/{USER}/access-log", citizen)
    head = await api.call("GET", "/api/v2/audit/tree-head", citizen)
    assert answer is not None and head is not None
    return head.json()["public_key"], answer.body.decode()


async def run(server: Server) -> tuple[list[str], str]:
    """Returns the faults, and a summary of what was compared."""
    key, answer = await answers(server)
    entries = json.loads(answer)["entries"]
    faults = [] if len(entries) == READS else [f"{len(entries)} entries, and not {READS}"]
    if check(key, answer) != 0:
        faults.append("a proof of the server does not hold")
    changed = {"an entry": answer.replace("complaint 3", "complaint 8"), "a root": answer.replace('"size":5', '"size":6')}
    faults += [f"{what} was changed, and the proof holds" for what, text in changed.items() if check(key, text) == 0]
    if check("0" * 62 + "01", answer) == 0:
        faults.append("another key signs as well")
    return faults, f"{len(entries)} entries of a citizen's access log proved by the public key alone"


if __name__ == "__main__":
    sys.exit(prove("audit", __doc__, run))
