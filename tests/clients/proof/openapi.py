"""The description of the API is a valid OpenAPI document, and real answers are what it says.

The libraries `openapi-spec-validator` and `jsonschema` share no code with the server. Each operation of both listeners is called as
every kind of caller; the status, the media type and the body of each answer must be described.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator

from .events import Events, user_ids
from .server import Server
from .standalone import prove
from .tokens import Minter

METHODS = ("get", "head", "put", "post", "delete")
NO_KEY = "0" * 32
#: Streams that do not end. They are called without a token only.
ENDLESS = {"/api/v2/profile/{user_id}/events", "/api/v2/events", "/api/v2/live"}
#: Operations that cannot succeed here: nobody is in quarantine, a code comes from the command line, and an event that was rejected
#: for its type is rejected again.
UNSUCCESSFUL = {
    "postSession", "deleteSession", "getAdminQuarantineByKey", "headAdminQuarantineByKey", "deleteAdminQuarantineByKey",
    "postAdminQuarantineByKeyRetry", "postAdminQuarantineByKeyRestore", "postFeedsBySourceRejectedByIdRetry",
    "getProfileByUserIdEvents", "getEvents", "getLive", "getExportsByJobDownload",
}
#: Values of parameters that an operation needs, by the end of its path.
NEEDED = {
    "/delta": {"since": "1"}, "/diff": {"from": "1", "to": "2"}, "/explain": {"path": "/demographics/state"},
    "/inclusion": {"leaf": "0", "size": "1"}, "/consistency": {"from": "0", "to": "1"},
    "/backup/{id}": {"from": "0"},
}
#: Further queries that are tried wherever an operation lists the parameter.
TRIED = (
    {"fields": "eligibility,deadlines.upcoming"}, {"schema_version": "1.0"}, {"include": "provenance"}, {"revision": "1"},
    {"limit": "1"}, {"limit": "0"}, {"schema_version": "9"}, {"category": "security,operations"}, {"k": "5", "l": "1"},
)


@dataclass(frozen=True)
class Answer:
    """An answer with its whole body."""

    status: int
    media_type: str
    body: bytes
    #: The id of the backup that it begins, if it begins one.
    backup_id: str | None


class Listener:
    """One listener, and what it says of itself."""

    def __init__(self, address: str) -> None:
        self.document: dict[str, Any] = {}
        self._connection = http.client.HTTPConnection(address, timeout=30)

    def call(self, method: str, path: str, token: str | None, body: bytes | None = None, kind: str = "") -> Answer:
        """Sends one request."""
        headers = {"X-Access-Reason": "a test"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = kind
        self._connection.request(method.upper(), path, body, headers)
        answer = self._connection.getresponse()
        parts = (part.strip() for part in answer.headers.get("content-type", "").split(";"))
        media_type = ";".join(part for part in parts if not part.startswith("charset="))
        return Answer(answer.status, media_type, answer.read(), answer.headers.get("x-backup-id"))

    def resolve(self, value: dict[str, Any]) -> dict[str, Any]:
        """Follows a reference."""
        while "$ref" in value:
            kind, name = value["$ref"].removeprefix("#/components/").split("/")
            value = self.document["components"][kind][name]
        return value

    def errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Returns how a value breaks a schema of the document."""
        whole = schema | {"components": self.document["components"]}
        validator = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


class Proof:
    """Calls every operation, and compares each answer with its description."""

    def __init__(self, server: Server, public: str) -> None:
        self.faults: list[str] = []
        self.checked: Counter[str] = Counter()
        self.succeeded: set[str] = set()
        self.public, self.admin = Listener(public), Listener(server.admin_address)
        self._now_s = server.now_s
        self._events = Events("openapi", server.now_s)
        self._minter = Minter(server.secret(), server.now_s)
        self.users = user_ids(3, "openapi")
        self._values = {
            "user_id": self.users[0], "source": "metadata", "version": "2.0", "name": "http", "code": "busy", "key": NO_KEY,
            "backup": NO_KEY,
        }

    def tokens(self, path: str) -> list[str | None]:
        """Returns a token of each kind of caller, and none."""
        if path in ENDLESS:
            return [None]
        token, scopes = self._minter.token, "profile:read operate export events:read simulate"
        return [
            None,
            token(self.users[0], "self", amr=["mfa"]),
            token("adm:root", "admin", scopes, amr=["mfa"]),
            token("adm:other", "admin"),
            token("svc:all", "service", f"{scopes} feed:metadata"),
            token("svc:none", "service"),
            token("aud:a", "auditor"),
            token("agt:a", "agent", "section:economic", self.users[0]),
        ]

    def load(self) -> None:
        """Loads both documents, and validates them."""
        for listener in (self.public, self.admin):
            listener.document = json.loads(listener.call("get", "/api/v2/openapi.json", None).body)
            for error in OpenAPIV31SpecValidator(listener.document).iter_errors():
                self.faults.append(f"the document is not valid: {error}"[:500])

    def seed(self) -> None:
        """Posts events, one of which is rejected, takes a snapshot and starts an export."""
        for user in self.users:
            for source, event in self._events.first(user):
                self._post(source, event)
        self._post("metadata", self._event() | {"type": "no.such.type"})
        self._values["rejected"] = self._wait_for_letter()
        own = self._minter.token(self.users[0], "self")
        taken = self.public.call("post", f"/api/v2/profile/{self.users[0]}/snapshots", own)
        self._values["snapshots"] = json.loads(taken.body)["snapshot_id"]
        admin = self._minter.token("adm:root", "admin", "export", amr=["mfa"])
        started = self.public.call("post", "/api/v2/profiles/bulk-export", admin, b"{}", "application/json")
        self._values["job"] = json.loads(started.body)["job_id"]

    def _wait_for_letter(self) -> str:
        """Returns the id of the rejected event, which is kept a moment later."""
        for _ in range(150):
            letters = self.public.call("get", "/api/v2/feeds/metadata/rejected", self._minter.feed("metadata"))
            if items := json.loads(letters.body)["items"]:
                return str(items[0]["id"])
            time.sleep(0.2)
        raise RuntimeError("the rejected event was not kept")

    def run(self) -> None:
        """Calls all operations: those that destroy something last."""
        for method in METHODS:
            for listener in (self.public, self.admin):
                for path, item in listener.document["paths"].items():
                    if method in item:
                        self._call_all(listener, method, path, item[method])
        user, path = self.users[2], "/api/v2/profile/{user_id}"
        own = self._minter.token(user, "self", amr=["mfa"])
        for sent, end, query in (
            ("delete", "", "?retain_days=3"), ("get", "", ""), ("delete", "/erasure", ""), ("delete", "", ""), ("get", "", ""),
        ):
            answer = self.public.call(sent, f"/api/v2/profile/{user}{end}{query}", own)
            operation = self.public.document["paths"][f"{path}{end}"][sent]
            self._check(self.public, f"{sent} {path}{end}", operation, answer)

    def _call_all(self, listener: Listener, method: str, path: str, operation: dict[str, Any]) -> None:
        listed = {one["name"] for one in map(listener.resolve, operation["parameters"]) if one["in"] == "query"}
        needed = next((values for end, values in NEEDED.items() if path.endswith(end)), {})
        if "confirm" in listed:
            needed = {"confirm": NO_KEY}
        elif "caller" in listed:
            needed = {"caller": "svc:nobody"}
        tried = [needed | query for query in TRIED if query.keys() <= listed]
        for token in self.tokens(path):
            for query in [needed, *tried]:
                address = self._path(method, path) + (f"?{urlencode(query)}" if query else "")
                for kind, body in self._bodies(path, operation):
                    answer = listener.call(method, address, token, body, kind)
                    self._check(listener, f"{method} {path}", operation, answer)
                    self._values["backup"] = answer.backup_id or self._values["backup"]

    def _path(self, method: str, path: str) -> str:
        values = dict(self._values)
        if method == "delete" and path.endswith(("{user_id}", "/erasure")):
            # The others are needed for what comes afterwards.
            values["user_id"] = self.users[1]
        values["id"] = self._values[next((kind for kind in ("snapshots", "backup") if kind in path), "rejected")]
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value)
        return path

    def _bodies(self, path: str, operation: dict[str, Any]) -> list[tuple[str, bytes | None]]:
        """Returns bodies of each media type that must be valid, and one that is not."""
        if "requestBody" not in operation:
            return [("", None)]
        later, tomorrow = "2099-01-01T00:00:00Z", datetime.fromtimestamp(self._now_s() + 86_400, UTC).isoformat()
        bodies: dict[str, Any] = {
            "/consent": {"data_sharing_level": "full"},
            "/simulate": [self._event()],
            "/batch-get": {"user_ids": [*self.users, "nobody"]},
            "/snapshots": {"trigger": "manual"},
            "/bulk-export": {"columns": ["gender"], "k": 5},
            "/session": {"code": "none"},
            "/admin/revocations": {"kid": "nobody's"},
            "/admin/allowlist": {"caller": "svc:nobody", "reason": "a test", "expires_at": later},
            "/admin/keys/rotate": {"key": "master"},
            "/admin/limits/reset": {"caller": "svc:nobody"},
            "/admin/passivate": {"user_id": self.users[0]},
            "/admin/keyring-backup": {"keep_until": tomorrow},
        }
        found: list[tuple[str, bytes | None]] = [("application/json", b"[]"), ("text/plain", b"?")]
        for kind, content in operation["requestBody"]["content"].items():
            if kind == "application/octet-stream":
                continue
            batch = kind == "application/cloudevents-batch+json"
            value = next((value for end, value in bodies.items() if path.endswith(end)), None)
            value = value or ([self._event()] if batch else self._event())
            if "x-itemSchema" not in content:
                listener = self.admin if path.startswith("/admin/") else self.public
                errors = listener.errors(content["schema"], value)
                self.faults += [f"the body of {path} is not valid: {error}" for error in errors]
            found.append((kind, json.dumps(value).encode() + b"\n"))
        return found

    def _check(self, listener: Listener, case: str, operation: dict[str, Any], answer: Answer) -> None:
        case = f"{case}, {answer.status}"
        if str(answer.status) not in operation["responses"]:
            self.faults.append(f"{case}: the status is not described: {answer.body[:200]!r}")
            return
        described = listener.resolve(operation["responses"][str(answer.status)])
        content = described.get("content", {})
        if not answer.body:
            is_head = operation["operationId"].startswith("head")
            self.faults += [f"{case}: the body is missing"] if content and not is_head else []
        elif answer.media_type not in content:
            self.faults.append(f"{case}: `{answer.media_type}` is not described")
        else:
            self._check_body(listener, case, content[answer.media_type], answer)
        self.checked[case] += 1
        if answer.status < 300:
            self.succeeded.add(operation["operationId"])

    def _check_body(self, listener: Listener, case: str, content: dict[str, Any], answer: Answer) -> None:
        text = answer.body.decode(errors="replace")
        parts: list[Any] = []
        if "x-itemSchema" in content:
            schema = content["x-itemSchema"]
            lines = text.splitlines()
            if answer.media_type == "text/event-stream":
                lines = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
            parts = [json.loads(line) for line in lines]
        elif answer.media_type.endswith("json") or "+json" in answer.media_type:
            schema, parts = content["schema"], [json.loads(text)]
        for part in parts:
            self.faults += [f"{case}: {error}" for error in listener.errors(schema, part)]
            self.checked["values"] += 1

    def _event(self) -> dict[str, Any]:
        data = {"fields": {"family": {"dependents": 3}}}
        return self._events.event(self.users[0], "metadata", "user.metadata.updated", data)

    def _post(self, source: str, event: dict[str, Any]) -> None:
        kind, body = "application/cloudevents+json", json.dumps(event).encode()
        answer = self.public.call("post", f"/api/v2/feeds/{source}", self._minter.feed(source), body, kind)
        operation = self.public.document["paths"]["/api/v2/feeds/{source}"]["post"]
        self._check(self.public, "post /api/v2/feeds/{source}", operation, answer)


async def run(server: Server) -> tuple[list[str], str]:
    """Returns the faults, and a summary of what was compared."""
    public = await server.start()
    proof = Proof(server, public)
    await asyncio.to_thread(lambda: (proof.load(), proof.seed(), proof.run()))
    described = {
        operation["operationId"]
        for listener in (proof.public, proof.admin)
        for item in listener.document["paths"].values()
        for operation in item.values()
    }
    proof.faults += [f"`{name}` never succeeded" for name in sorted(described - proof.succeeded - UNSUCCESSFUL)]
    values = proof.checked.pop("values")
    return list(dict.fromkeys(proof.faults)), f"{proof.checked.total()} answers of {len(described)} operations are described; {values} values are valid"


if __name__ == "__main__":
    sys.exit(prove("openapi", __doc__, run))
