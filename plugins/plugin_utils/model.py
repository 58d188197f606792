"""Expands a declaration: every default filled in, every shorthand written out, every kind spelled as rights.

The short form is for people (platform.yml), the long form for templates and the reconcile module:
one place decides what `kind: app` means.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import rooms, shape
from .rooms import Room

# What each kind of role may do with the objects of its database's schemas, and by which URL it comes.
# PUBLIC may execute no function of these schemas, so `functions` is all there is; one of an extension is everybody's.
# A readonly role has none, because a SECURITY DEFINER function writes with the owner's rights. Who reads a view needs
# EXECUTE on the functions in it: `privileges: [{tables: [SELECT], functions: [EXECUTE]}]` declares that.
# `writers` are the functions of reconcile.WRITERS.
# docs/reference/roles.md is generated from this table.
KINDS: dict[str, dict[str, Any]] = {
    "app": {
        "purpose": "the application; owns nothing, creates nothing",
        "endpoints": ["pooled"],
        "tables": ["SELECT", "INSERT", "UPDATE", "DELETE"],
        "sequences": ["USAGE"],
        "functions": ["EXECUTE"],
        "writers": True,
        "settings": {},
    },
    "migrator": {
        "purpose": "schema changes over the direct URL, acting as the owner role from login on",
        "endpoints": ["direct"],
        "tables": [],
        "sequences": [],
        "functions": [],
        "writers": False,
        "settings": {},
    },
    "readonly": {
        "purpose": "reports and analytics; reads every table, writes none, executes no function",
        "endpoints": ["pooled", "direct"],
        "tables": ["SELECT"],
        "sequences": [],
        "functions": [],
        "writers": False,
        "settings": {"default_transaction_read_only": "on"},
    },
    "custom": {
        "purpose": "exactly the rights it declares",
        "endpoints": ["direct"],
        "tables": [],
        "sequences": [],
        "functions": [],
        "writers": False,
        "settings": {},
    },
}


def expand(
    databases: list[dict[str, Any]], cluster_roles: list[dict[str, Any]], guests: Iterable[Room] | None = None
) -> dict[str, Any]:
    """The declaration with nothing left implicit.

    Args:
        databases: `databases` of platform.yml, valid by `shape.check`.
        cluster_roles: `cluster_roles` of platform.yml.
        guests: the rooms whose keys of `databases[]` count; without them those of this collection.

    Returns:
        {"databases": [...], "roles": [...]}: every role once, with its database ("" for cluster roles).
    """
    guests = list(rooms.own() if guests is None else guests)
    options = rooms.inputs([room for room in guests if room.name == rooms.PLATFORM], guests)
    database_option = {"type": "dict", "options": options["databases"]["options"]}
    cluster_option = {"type": "dict", "options": options["cluster_roles"]["options"]}
    role_option = {"type": "dict", "options": database_option["options"]["roles"]["options"]}
    long_databases = [_database(entry, database_option) for entry in databases]
    roles = [_cluster_role(entry, cluster_option) for entry in cluster_roles]
    for database in long_databases:
        owner = database["owner"]
        if not any(role["name"] == owner for role in roles):
            roles.append(_role({"name": owner, "login": False, "kind": "owner"}, database, role_option))
        roles += [_role(entry, database, role_option) for entry in database["roles"]]
    for room in guests:
        if further := room.code("expand"):
            for database in long_databases:
                further(database, [role for role in roles if role["database"] == database["name"]])
    return {"databases": long_databases, "roles": roles}


def _database(entry: dict[str, Any], option: dict[str, Any]) -> dict[str, Any]:
    long: dict[str, Any] = shape.filled(entry, option)
    return long | {
        "owner": long["owner"] or f"{long['name']}_owner",
        "settings": _settings(long["settings"]),
        "extensions": [_named(item, {"schema": "", "version": ""}) for item in long["extensions"]],
        "schemas": [_named(item, {"owner": ""}) for item in long["schemas"] or ["public"]],
        "roles": entry.get("roles") or [],
    }


def _role(entry: dict[str, Any], database: dict[str, Any], option: dict[str, Any]) -> dict[str, Any]:
    long = _login(entry, option)
    kind = long["kind"]
    rights = KINDS.get(kind, KINDS["custom"])
    settings = dict(rights["settings"])
    if kind == "migrator":
        # Acts as the owner from login on: what it creates belongs to the owner role, and after
        # RESET ROLE it has no right at all. INHERIT FALSE keeps it from using both at once.
        long["memberships"].insert(0, {"role": database["owner"], "inherit": False, "set": True, "admin": False})
        settings["role"] = database["owner"]
    kinds_own = {key: rights[key] for key in ("tables", "sequences", "functions")}
    if long["privileges"] is None:
        long["privileges"] = [
            {"schema": schema["name"]} | kinds_own for schema in database["schemas"] if any(kinds_own.values())
        ]
    return long | {
        "database": database["name"],
        "settings": settings | long["settings"],
        "endpoints": list(long["endpoints"] or rights["endpoints"]) if long["login"] else [],
        "writers": rights["writers"],
    }


def _cluster_role(entry: dict[str, Any], option: dict[str, Any]) -> dict[str, Any]:
    long = _login(entry, option) | {"kind": "cluster", "database": "", "privileges": [], "writers": False}
    return long | {"endpoints": list(long["endpoints"] or ["direct"]) if long["login"] else []}


def _login(entry: dict[str, Any], option: dict[str, Any]) -> dict[str, Any]:
    """What roles of databases and cluster roles have in common."""
    long: dict[str, Any] = shape.filled(entry, option)
    return long | {
        "secret": long["secret"] or long["name"],
        "attributes": sorted(str(item).upper() for item in long["attributes"]),
        "valid_until": str(long["valid_until"] or ""),
        "settings": _settings(long["settings"]),
        "memberships": [_membership(item) for item in long.pop("member_of")],
    }


def _membership(item: Any) -> dict[str, Any]:
    short = {"role": item} if isinstance(item, str) else item
    return {"role": short["role"]} | {
        option: default if short.get(option) is None else shape.truth(short[option])
        for option, default in (("inherit", True), ("set", True), ("admin", False))
    }


def _named(item: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    short = {"name": item} if isinstance(item, str) else item
    return defaults | short


def _settings(values: dict[str, Any] | None) -> dict[str, str]:
    return {name: setting_text(value) for name, value in (values or {}).items()}


def setting_text(value: Any) -> str:
    """A YAML value as PostgreSQL writes it: booleans as on/off, lists joined by commas."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(setting_text(item) for item in value)
    return str(value)


def login_roles(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The roles that log in, in order of declaration."""
    return [role for role in model["roles"] if role["login"]]
