"""Access tokens (RFC 9068) signed with the server's development secret (RFC 7515, HS256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable

from .callers import Caller


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Minter:
    """Issues tokens by the server's clock."""

    def __init__(self, secret: bytes, now_s: Callable[[], float]) -> None:
        self.secret = secret
        self._now_s = now_s

    def token(self, sub: str, role: str, scope: str = "", act: str | None = None, life_s: int = 3_000,
              amr: list[str] | None = None) -> str:
        """Returns a token that is valid for `life_s` seconds."""
        now = int(self._now_s())
        claims: dict[str, object] = {
            "iss": "profile-server", "aud": "profile-server", "sub": sub, "role": role, "scope": scope,
            "iat": now - 60, "nbf": now - 60, "exp": now + life_s, "jti": uuid.uuid4().hex,
        }
        if act is not None:
            claims["act"] = {"sub": act}
        if amr is not None:
            claims |= {"amr": amr, "auth_time": now - 60}
        parts = ({"alg": "HS256", "typ": "at+jwt"}, claims)
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in parts)
        signature = hmac.digest(self.secret, signed, hashlib.sha256)
        return (signed + b"." + _base64url(signature)).decode()

    def for_caller(self, caller: Caller, life_s: int = 3_000) -> str:
        """Returns a token for a caller."""
        return self.token(caller.sub, caller.role, caller.scope, caller.act, life_s)

    def feed(self, source: str) -> str:
        """Returns a token for the engine that writes the feed `source`."""
        return self.token(f"svc:{source}", "service", f"feed:{source}")
