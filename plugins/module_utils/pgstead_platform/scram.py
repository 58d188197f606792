"""SCRAM-SHA-256 verifiers, computed on the control node: no plaintext password ever reaches a node."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any


def salt_of(role: str, key: str) -> bytes:
    """The salt of a role, derived from the inventory's secret key.

    The same declaration always gives the same verifier, so that comparing is enough to see a change; and
    without the key nobody can prepare for a salt.
    """
    return hmac.new(key.encode(), f"pgstead:{role}".encode(), hashlib.sha256).digest()[:16]


def verifier(password: str, salt: bytes, iterations: int) -> str:
    """The verifier as PostgreSQL stores it (RFC 5803; PostgreSQL manual 53.8).

    Raises:
        ValueError: the password has characters that SASLprep forbids, or the library scramp is missing.
    """
    try:
        from scramp import ScramException, ScramMechanism  # noqa: PLC0415 - only the control node has it
    except ImportError as problem:
        raise ValueError("the Python package scramp is missing beside Ansible: pip install scramp") from problem
    try:
        made = ScramMechanism("SCRAM-SHA-256").make_auth_info(password, iterations, salt)
    except ScramException as problem:
        raise ValueError("it has characters that SASLprep forbids (control or unassigned ones)") from problem
    _salt, stored_key, server_key, count = made
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${count}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def of_role(passwords: dict[str, Any], role: str, secret: str, iterations: int) -> str:
    """The verifier of a role's declared password.

    Args:
        passwords: `secrets` of the inventory.
        role: the role's name.
        secret: key of its password in `passwords`.
        iterations: as in the verifier.

    Raises:
        ValueError: naming the secret that is missing or unusable.
    """
    for name in (secret, "scram_salt_key"):
        if not passwords.get(name):
            raise ValueError(f"secrets.{name} is missing from vault.yml")
    try:
        return verifier(str(passwords[secret]), salt_of(role, str(passwords["scram_salt_key"])), iterations)
    except ValueError as problem:
        raise ValueError(f"secrets.{secret}: {problem}") from problem
