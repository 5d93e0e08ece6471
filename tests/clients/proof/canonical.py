"""The canonical form of JSON (RFC 8785), as far as profiles need it."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """Returns the canonical form. For ASCII names and short numbers, Python sorts and prints as RFC 8785 requires."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_hash(value: Any) -> str:
    """Returns the SHA-256 hash of the canonical form, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
