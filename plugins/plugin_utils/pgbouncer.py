"""What the pooler cannot do: contradictions of its inputs, and what an old one may not be trusted with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..module_utils import pooler
from ..module_utils.words import nearest
from .shape import Problem

# CVE-2026-107350: with verifiers of app roles in auth_file, one user's password opens every account.
USERLIST_FIXED = "1.26.1"
# Before it, a line of [users] makes a user with an empty password, and none is looked up (parse_user in its loader.c).
USERS_FIXED = "1.23"


def problems(expanded: dict[str, Any], values: dict[str, Any]) -> Iterator[Problem]:
    """What the pooler clears between clients is enough for what its databases promise."""
    level = values.get("pgbouncer_isolation") or "auto"
    pooled = pooler.pooled_databases(expanded)
    tokens = [db["name"] for db in pooled if db["tenancy"] and db["tenancy"]["token"]]
    tenants = [db["name"] for db in pooled if db["tenancy"]]
    sessions = [db["name"] for db in pooled if db["pool"]["mode"] == "session"]
    if tokens and level not in ("auto", "full"):
        fix = (
            "write full, or take it out: a prepared statement that one client leaves would run as the next one's"
            " tenant, with its token"
        )
        yield Problem("pgbouncer_isolation", f"{level!r} with tenancy.token in {tokens[0]!r}", fix)
    elif tenants and level == "none":
        fix = "write session, or at least cursors: a cursor WITH HOLD shows one tenant's rows to the next client"
        yield Problem("pgbouncer_isolation", f"{level!r} with tenancy in {tenants[0]!r}", fix)
    elif sessions and level in ("cursors", "session"):
        fix = "write full: sessions would begin with the prepared statements of others"
        yield Problem("pgbouncer_isolation", f"{level!r} with pool.mode session in {sessions[0]!r}", fix)
    served = [role["name"] for role in expanded["roles"] if "pooled" in role["endpoints"]]
    for name in sorted({*(values.get("pgbouncer_users") or {})} - {*served}):
        like = nearest(name, served)
        fix = f"did you mean {like}?" if like else "write a role that has the endpoint pooled"
        yield Problem(f"pgbouncer_users.{name}", "no role of the pooler's", fix)
    for name in ("server_reset_query", "server_reset_query_always"):
        if tokens and name in (values.get("pgbouncer_settings") or {}):
            found = f"{values['pgbouncer_settings'][name]!r} with tenancy.token in {tokens[0]!r}"
            fix = "take it out; what tokens promise needs pgbouncer_isolation: full"
            yield Problem(f"pgbouncer_settings.{name}", found, fix)


def host(_: dict[str, Any], values: dict[str, Any], seen: dict[str, Any]) -> Iterator[Problem]:
    """Verifiers in a file, which only a PgBouncer with the fix may have."""
    # What is installed stays; else APT takes the newest that any source offers.
    offered = seen["source"]["packages"].get("pgbouncer") or [""]
    version = seen["packages"].get("pgbouncer") or max(offered, key=_version)
    if values.get("pgbouncer_users") and version and _version(version) < _version(USERS_FIXED):
        why = f"install PgBouncer {USERS_FIXED} or later: before it, a role with limits is one with an empty password"
        yield Problem("pgbouncer_users", f"limits with PgBouncer {version}", f"take them out, or {why}")
    if values["pgbouncer_auth"] != "userlist":
        return
    if _version(version) < _version(USERLIST_FIXED) and not seen["pgbouncer_patched"]:
        yield Problem(
            "pgbouncer_auth",
            f"'userlist' with PgBouncer {version or '(none)'}",
            f"write auth_query, or install PgBouncer {USERLIST_FIXED} or later: before it, whoever knows one "
            "password of userlist.txt can log in as every other role (CVE-2026-107350)",
        )


def _version(text: str) -> tuple[int, ...]:
    """The upstream part of a package version, for comparing: "1.26.1-1" -> (1, 26, 1)."""
    match = re.match(r"(?:\d+:)?([\d.]+)", text)
    return tuple(int(part) for part in match[1].split(".") if part) if match else ()
