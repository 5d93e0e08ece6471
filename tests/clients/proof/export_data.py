"""Everything that is held about a citizen, as one document: valid by its schema, and whole.

The validator is the library `jsonschema`, and the patches are applied by `jsonpatch`; both share no code with the server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Any

import jsonpatch
import jsonschema

from .api import Api
from .events import Events, user_ids
from .server import Server
from .standalone import prove
from .tokens import Minter

EVENTS = 120
SECTIONS = ("consents", "revisions", "dead_letters", "access_log", "held_elsewhere")


class Proof:
    """Exports what is held about citizens, and checks it against what the API says elsewhere."""

    def __init__(self, server: Server) -> None:
        self.faults: list[str] = []
        self.exports = 0
        self._minter, self._api = Minter(server.secret(), server.now_s), Api(server)
        self._validators: dict[str, Any] = {}

    async def load_schemas(self) -> None:
        """Loads the schemas of the document and of the profiles in it, and checks that each is a schema."""
        for name in ("export-data", "2.0"):
            schema = (await self._get(f"/api/v2/schemas/{name}", self._minter.token("svc:x", "service"))).json()
            jsonschema.Draft202012Validator.check_schema(schema)
            formats = jsonschema.FormatChecker()
            self._validators[name] = jsonschema.Draft202012Validator(schema, format_checker=formats)

    async def post(self, source: str, batch: list[Any], rejected: int = 0) -> None:
        """Posts events, of which some must be rejected."""
        body, token = json.dumps(batch).encode(), self._minter.feed(source)
        content_type = "application/cloudevents-batch+json"
        answer = await self._api.call("POST", f"/api/v2/feeds/{source}", token, body, content_type=content_type)
        if answer is None or answer.status != 200 or answer.json()["rejected"] != rejected:
            self.faults.append(f"events of {source} were answered {answer}")

    async def consent(self, user: str) -> None:
        """Has the user share more."""
        body = json.dumps({"data_sharing_level": "full", "third_party_sharing": True}).encode()
        path, token = f"/api/v2/profile/{user}/consent", self._minter.token(user, "self")
        answer = await self._api.call("PUT", path, token, body, content_type="application/json")
        if answer is None or answer.status != 200:
            self.faults.append(f"a consent was answered {answer}")

    async def check(self, user: str) -> dict[str, Any]:
        """Exports what is held about a user, and checks it. Returns the document."""
        token = self._minter.token(user, "self")
        profile = (await self._get(f"/api/v2/profile/{user}", token)).json()
        answer = await self._get(f"/api/v2/profile/{user}/export-data", token)
        document: dict[str, Any] = answer.json()
        self.exports += 1
        self._validate(document, "export-data")
        self._validate(document["profile"], "2.0")
        if document["profile"] != profile:
            self.faults.append("the export has another profile than GET")
        held: dict[str, Any] = {}
        for revision in document["revisions"]:
            if "profile" in revision:
                held = revision["profile"]
            else:
                held = jsonpatch.JsonPatch(revision["operations"]).apply(held)
            self._validate(held, "2.0")
            if held["revision"] != revision["revision"]:
                self.faults.append(f"revision {revision['revision']} leads to {held['revision']}")
        if held != profile:
            self.faults.append("the revisions do not lead to the profile")
        return document

    def _validate(self, document: dict[str, Any], schema: str) -> None:
        for error in self._validators[schema].iter_errors(document):
            self.faults.append(f"{schema}: {error.json_path}: {error.message}")

    async def _get(self, path: str, token: str) -> Any:
        answer = await self._api.call("GET", path, token)
        assert answer is not None and answer.status == 200, (path, answer)
        return answer


async def run(server: Server) -> tuple[list[str], str]:
    """Returns the faults, and a summary of what was compared."""
    await server.start()
    proof = Proof(server)
    await proof.load_schemas()
    events, users = Events("export-data", server.now_s), list(user_ids(3, "export-data"))
    for user in users:
        for source, event in events.first(user):
            await proof.post(source, [event])
        await proof.consent(user)
    for _ in range(EVENTS):
        await proof.post(*events.any(users))
    wrong = {"specversion": "1.0", "id": "wrong", "source": "/engines/metadata", "type": "no.such.type",
             "subject": users[0], "time": "2026-01-01T00:00:00Z", "data": {}}
    await proof.post("metadata", [wrong], rejected=1)
    # A dead letter is written a moment later.
    async with asyncio.timeout(30):
        while not (document := await proof.check(users[0]))["dead_letters"]:
            await asyncio.sleep(0.2)
    letter = document["dead_letters"][0]
    sent = letter.get("event") or base64.b64decode(letter["event_base64"]).decode()
    if json.loads(sent) != wrong:
        proof.faults.append(f"the rejected event is held as {sent}")
    proof.faults += [f"the export has no {section}" for section in SECTIONS if not document[section]]
    for user in users[1:]:
        await proof.check(user)
    return proof.faults, f"{proof.exports} exports are valid by their schema, and their revisions lead to the profile"


if __name__ == "__main__":
    sys.exit(prove("export-data", __doc__, run))
