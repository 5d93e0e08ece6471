"""Every document is valid by the JSON Schema that it names: views, sparse views and what live frames lead to.

The validator is the library `jsonschema`, which shares no code with the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import jsonpatch
import jsonschema
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from .api import Api
from .events import Events, user_ids
from .server import Server
from .standalone import prove
from .tokens import Minter

TYPE = "application/vnd.civic.profile+json"
EVENTS = 60
#: Names of both versions, and one of none. `fields` of a version uses the names of that version.
FIELDS = "eligibility,deadlines.upcoming,upcoming_deadlines,trust,identity,no.such.field"


class Proof:
    """Reads and follows profiles in every version, and validates what it gets."""

    def __init__(self, server: Server, seed: str) -> None:
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self.validators: dict[str, Any] = {}
        self._server, self._seed = server, seed
        self._minter, self._api = Minter(server.secret(), server.now_s), Api(server)
        self.users = user_ids(3, seed)

    def callers(self, user: str) -> list[str]:
        """Returns a token of each kind of caller."""
        token = self._minter.token
        return [
            token(user, "self"),
            token("adm:root", "admin", "profile:read"),
            token("agt:a", "agent", "section:eligibility section:deadlines", user),
            token("svc:dashboard", "service", "profile:read live:many"),
            token("svc:prediction", "service", "profile:read ai_context"),
        ]

    async def load_schemas(self) -> None:
        """Loads the schema of every version that the server lists, and checks that each is a schema."""
        listed = await self._get("/api/v2/schemas", self._minter.token("svc:x", "service"))
        for item in listed.json()["items"]:
            schema = (await self._get(item["href"], self._minter.token("svc:x", "service"))).json()
            jsonschema.Draft202012Validator.check_schema(schema)
            formats = jsonschema.FormatChecker()
            self.validators[item["version"]] = jsonschema.Draft202012Validator(schema, format_checker=formats)

    async def post(self, events: Events, count: int) -> None:
        """Posts random events of every user."""
        for _ in range(count):
            source, batch = events.any(list(self.users))
            await self._post(source, batch)

    async def post_first(self, events: Events) -> None:
        """Posts an event of each kind, so that every section has a value."""
        for user in self.users:
            for source, event in events.first(user):
                await self._post(source, [event])

    async def _post(self, source: str, batch: list[Any]) -> None:
        body, token = json.dumps(batch).encode(), self._minter.feed(source)
        content_type = "application/cloudevents-batch+json"
        answer = await self._api.call("POST", f"/api/v2/feeds/{source}", token, body, content_type=content_type)
        if answer is None or answer.status != 200 or answer.json()["rejected"]:
            self.faults.append(f"events of {source} were answered {answer}")

    async def consent(self, user: str, level: str) -> None:
        """Sets how much services see."""
        body = json.dumps({"data_sharing_level": level, "third_party_sharing": True}).encode()
        path = f"/api/v2/profile/{user}/consent"
        token = self._minter.token(user, "self")
        answer = await self._api.call("PUT", path, token, body, content_type="application/json")
        if answer is None or answer.status != 200:
            self.faults.append(f"a consent was answered {answer}")

    async def read_all(self) -> None:
        """Reads every user as every caller in every version, whole and sparse."""
        for user in self.users:
            for token in self.callers(user):
                for version in self.validators:
                    for query, what in [("", "views"), (f"?fields={FIELDS}", "sparse views")]:
                        answer = await self._read(user, token, version, query)
                        if answer.status == 404:
                            continue
                        if answer.headers["content-type"] != f"{TYPE};version={version}":
                            self.faults.append(f"{answer.headers['content-type']} for version {version}")
                        self.validate(answer.json(), version, what)

    async def follow(self, events: Events) -> None:
        """Follows every user on a socket in every version while events arrive, and compares with `GET`."""
        for version in self.validators:
            token = self._minter.token("adm:root", "admin", "profile:read")
            address = f"ws://{await self._server.address()}/api/v2/live"
            headers = {"Authorization": f"Bearer {token}", "X-Access-Reason": "a test"}
            async with connect(
                address, additional_headers=headers, subprotocols=[Subprotocol("civic-profile.v1")],
            ) as socket:
                users = [{"user_id": user} for user in self.users]
                await socket.send(json.dumps({"type": "subscribe", "users": users, "schema_version": version}))
                held = {frame["user_id"]: frame for frame in [json.loads(await socket.recv()) for _ in users]}
                await self.post(events, EVENTS // 4)
                # Every revision arrives within a second.
                await asyncio.sleep(1.5)
                await socket.send(json.dumps({"type": "ping"}))
                while (frame := json.loads(await socket.recv()))["type"] != "pong":
                    self._apply(held, frame, version)
            for user, frame in held.items():
                answer = await self._read(user, token, version, "")
                if answer.json() != frame["profile"]:
                    self.faults.append(f"a socket in version {version} holds something else than GET")
                self.counts[f"followed in {version}"] += 1

    def _apply(self, held: dict[str, Any], frame: dict[str, Any], version: str) -> None:
        if frame["type"] == "profile":
            held[frame["user_id"]] = frame
        elif frame["type"] == "patch":
            known = held[frame["user_id"]]
            if known["revision"] != frame["base_revision"]:
                self.faults.append(f"a gap in version {version}")
            profile = jsonpatch.JsonPatch(frame["operations"]).apply(known["profile"])
            held[frame["user_id"]] = {"profile": profile | frame["envelope"], "revision": frame["revision"]}
            self.validate(held[frame["user_id"]]["profile"], version, "patched documents")

    def validate(self, document: dict[str, Any], version: str, what: str) -> None:
        """Validates a document by the schema that it names."""
        if document["schema_version"] != version:
            self.faults.append(f"version {version} was asked for, and {document['schema_version']} came")
        for error in self.validators[document["schema_version"]].iter_errors(document):
            self.faults.append(f"version {version}, {what}: {error.json_path}: {error.message}")
        self.counts[f"{what} in {version}"] += 1

    async def _read(self, user: str, token: str, version: str, query: str) -> Any:
        accept = f"{TYPE};version={version}"
        return await self._get(f"/api/v2/profile/{user}{query}", token, accept=accept, x_access_reason="a test")

    async def _get(self, path: str, token: str, **headers: str) -> Any:
        answer = await self._api.call("GET", path, token, **headers)
        assert answer is not None
        return answer


async def run(server: Server) -> tuple[list[str], str]:
    """Returns the faults, and a summary of what was compared."""
    await server.start()
    proof = Proof(server, "schemas")
    await proof.load_schemas()
    events = Events("schemas", server.now_s)
    await proof.post_first(events)
    for level in ("full", "minimal", "standard", "full"):
        await proof.post(events, EVENTS // 4)
        for user in proof.users:
            await proof.consent(user, level)
        await proof.read_all()
    await proof.follow(events)
    kinds = ("views", "sparse views", "patched documents", "followed")
    expected = [f"{what} in {version}" for what in kinds for version in ("1.0", "2.0")]
    proof.faults += [f"no {what}" for what in expected if not proof.counts[what]]
    total = sum(count for what, count in proof.counts.items() if not what.startswith("followed"))
    return proof.faults, f"{total} documents in {len(proof.validators)} versions are valid by the schemas that they name"


if __name__ == "__main__":
    sys.exit(prove("schemas", __doc__, run))
