"""Tenant tokens: a tenant's id and the second it is good until, signed with HMAC-SHA256 (RFC 2104)."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

BLOCK = 64  # bytes that SHA-256 works on
PREVIOUS = "_previous"  # of a secret's name: the key that was, still accepted


def sign(key: str, tenant: Any, seconds: float = 60) -> str:
    """A token for a tenant: `<tenant>.<Unix time>.<signature in hexadecimal>`.

    Args:
        key: the signing key.
        tenant: its id, as PostgreSQL writes it.
        seconds: how long it is good for.
    """
    content = f"{tenant}.{int(time.time() + seconds)}"
    return f"{content}.{hmac.new(key.encode(), content.encode(), hashlib.sha256).hexdigest()}"


def blocks(key: str) -> tuple[bytes, bytes]:
    """The two blocks that HMAC begins its inner and its outer hash with."""
    raw = key.encode()
    raw = (hashlib.sha256(raw).digest() if len(raw) > BLOCK else raw).ljust(BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in raw), bytes(byte ^ 0x5C for byte in raw)


def keys(secret: str, secrets: dict[str, str]) -> list[str]:
    """The keys that tokens may be signed with: the one of that name, and the one before it where it is still there."""
    return [secrets[name] for name in (secret, secret + PREVIOUS) if secrets.get(name)]
