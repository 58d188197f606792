"""SCRAM-SHA-256 verifiers, computed on the control node: no plaintext password ever reaches a node."""

from __future__ import annotations

import base64
import hashlib
import hmac
import stringprep
import unicodedata
from typing import Any


def salt_of(role: str, key: str) -> bytes:
    """The salt of a role, derived from the inventory's secret key.

    The same declaration always gives the same verifier, so that comparing is enough to see a change; and
    without the key nobody can prepare for a salt.
    """
    return hmac.new(key.encode(), f"pgstead:{role}".encode(), hashlib.sha256).digest()[:16]


def prepared(password: str) -> bytes:
    """A password as client and server agree to spell it: SASLprep (RFC 4013), as PostgreSQL applies it.

    Where SASLprep forbids it (characters newer than Unicode 3.2, like emoji), PostgreSQL and libpq use the
    bytes as they are (src/common/saslprep.c and its callers); so does this.
    """
    if password.isascii():
        return password.encode()
    # In PostgreSQL's order: the zero width space is in both tables; what is checked is not yet normalized.
    spaced = (" " if stringprep.in_table_c12(c) else c for c in password)
    mapped = "".join(c for c in spaced if not stringprep.in_table_b1(c))
    forbidden = (
        stringprep.in_table_a1,
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    right_to_left = [stringprep.in_table_d1(c) for c in mapped]
    mixed = any(right_to_left) and (
        any(stringprep.in_table_d2(c) for c in mapped) or not (right_to_left[0] and right_to_left[-1])
    )
    if not mapped or mixed or any(table(c) for c in mapped for table in forbidden):
        return password.encode()
    return unicodedata.normalize("NFKC", mapped).encode()


def verifier(password: str, salt: bytes, iterations: int) -> str:
    """The verifier as PostgreSQL stores it (RFC 5802, section 3; RFC 5803; PostgreSQL manual 53.8)."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
    client_key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    server_key = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    encoded = [base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client_key).digest(), server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def of_role(passwords: dict[str, Any], role: str, secret: str, iterations: int) -> str:
    """The verifier of a role's declared password.

    Args:
        passwords: `secrets` of the inventory.
        role: the role's name.
        secret: key of its password in `passwords`.
        iterations: as in the verifier.

    Raises:
        ValueError: naming the secret that is missing.
    """
    for name in (secret, "scram_salt_key"):
        if not passwords.get(name):
            raise ValueError(f"secrets.{name} is missing from vault.yml")
    return verifier(str(passwords[secret]), salt_of(role, str(passwords["scram_salt_key"])), iterations)
