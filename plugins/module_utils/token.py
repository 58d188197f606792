"""Tenant tokens: a tenant's id and the second it is good until, signed with HMAC-SHA256 (RFC 2104)."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from . import pg
from .reconcile import ident

BLOCK = 64  # bytes that SHA-256 works on
PREVIOUS = "_previous"  # of a secret's name: the key that was, still accepted
_OWN = """
SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'r' AND pg_get_userbyid(relowner) = current_user
"""


def sign(key: str, tenant: Any, seconds: float = 60) -> str:
    """A token for a tenant: `<tenant>.<Unix time>.<signature in hexadecimal>`.

    Args:
        key: the signing key.
        tenant: its id, as PostgreSQL writes it.
        seconds: how long it is good for.
    """
    return sign_with(blocks(key), tenant, seconds)


def sign_with(pair: tuple[bytes, bytes], tenant: Any, seconds: float = 60) -> str:
    """As sign(), by the two blocks of the key."""
    content = f"{tenant}.{int(time.time() + seconds)}"
    inner, outer = pair
    return f"{content}.{hashlib.sha256(outer + hashlib.sha256(inner + content.encode()).digest()).hexdigest()}"


def blocks(key: str) -> tuple[bytes, bytes]:
    """The two blocks that HMAC begins its inner and its outer hash with."""
    raw = key.encode()
    raw = (hashlib.sha256(raw).digest() if len(raw) > BLOCK else raw).ljust(BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in raw), bytes(byte ^ 0x5C for byte in raw)


def keys(secret: str, secrets: dict[str, str]) -> list[str]:
    """The keys that tokens may be signed with: the one of that name, and the one before it where it is still there."""
    return [secrets[name] for name in (secret, secret + PREVIOUS) if secrets.get(name)]


def kept(key: str, whole: bool) -> dict[str, str]:
    """What a node is told of a key: its blocks, which are as good as the key, or what tells whether it has them."""
    pair = blocks(key)
    return {"digest": digest(pair)} | ({"inner": pair[0].hex(), "outer": pair[1].hex()} if whole else {})


def digest(pair: tuple[bytes, bytes]) -> str:
    return hashlib.sha256(b"".join(pair)).hexdigest()


def blocks_in(connection: Any, schema: str) -> list[tuple[bytes, bytes]]:
    """The blocks of the keys that a database checks tokens with.

    Args:
        connection: the superuser's, who reads his own table alone: what an owner made of that name could be a view.
        schema: of pgstead's functions.
    """
    table = f"{ident(schema)}.token_keys"
    if not pg.rows(connection, _OWN, [table]):
        return []
    found = pg.rows(connection, f"SELECT inner_block, outer_block FROM {table}")  # noqa: S608 - a quoted name
    return [(bytes(row["inner_block"]), bytes(row["outer_block"])) for row in found]
