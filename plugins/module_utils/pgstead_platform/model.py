"""Expands a declaration: every default filled in, every shorthand written out, every kind spelled as rights.

The short form is for people (platform.yml), the long form for templates and the reconcile module:
one place decides what `kind: app` means.
"""

from __future__ import annotations

from typing import Any

# What each kind of role may do with the objects of its database's schemas, and by which URL it comes.
# docs/reference/roles.md is generated from this table.
KINDS: dict[str, dict[str, Any]] = {
    "app": {
        "purpose": "the application; owns nothing, creates nothing",
        "endpoints": ["pooled"],
        "tables": ["SELECT", "INSERT", "UPDATE", "DELETE"],
        "sequences": ["USAGE"],
        "settings": {},
    },
    "migrator": {
        "purpose": "schema changes over the direct URL, acting as the owner role from login on",
        "endpoints": ["direct"],
        "tables": [],
        "sequences": [],
        "settings": {},
    },
    "readonly": {
        "purpose": "reports and analytics; reads every table, writes none",
        "endpoints": ["pooled", "direct"],
        "tables": ["SELECT"],
        "sequences": [],
        "settings": {"default_transaction_read_only": "on"},
    },
    "custom": {
        "purpose": "exactly the rights it declares",
        "endpoints": ["direct"],
        "tables": [],
        "sequences": [],
        "settings": {},
    },
}

ATTRIBUTES = ("CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS", "SUPERUSER")
POOL_DEFAULTS: dict[str, Any] = {"mode": "transaction", "size": 25, "reserve": 5}


def expand(databases: list[dict[str, Any]], cluster_roles: list[dict[str, Any]]) -> dict[str, Any]:
    """The declaration with nothing left implicit.

    Args:
        databases: `databases` of platform.yml, valid by `schema.problems`.
        cluster_roles: `cluster_roles` of platform.yml.

    Returns:
        {"databases": [...], "roles": [...]}: every role once, with its database ("" for cluster roles).
    """
    long_databases = [_database(entry) for entry in databases]
    roles = [_cluster_role(entry) for entry in cluster_roles]
    for database in long_databases:
        owner = database["owner"]
        if not any(role["name"] == owner for role in roles):
            roles.append(_role({"name": owner, "login": False}, database, "owner"))
        roles += [_role(entry, database, entry.get("kind", "app")) for entry in database["roles"]]
    return {"databases": long_databases, "roles": roles}


def _database(entry: dict[str, Any]) -> dict[str, Any]:
    name = entry["name"]
    return {
        "name": name,
        "owner": entry.get("owner") or f"{name}_owner",
        "encoding": entry.get("encoding") or "UTF8",
        "locale": entry.get("locale") or "",
        "connection_limit": entry.get("connection_limit", -1),
        "settings": _settings(entry.get("settings")),
        "extensions": [_named(item, {"schema": "", "version": ""}) for item in entry.get("extensions") or []],
        "schemas": [_named(item, {"owner": ""}) for item in entry.get("schemas") or ["public"]],
        "pool": POOL_DEFAULTS | (entry.get("pool") or {}),
        "roles": entry.get("roles") or [],
    }


def _role(entry: dict[str, Any], database: dict[str, Any], kind: str) -> dict[str, Any]:
    rights = KINDS.get(kind, KINDS["custom"])
    memberships = [_membership(item) for item in entry.get("member_of") or []]
    settings = dict(rights["settings"])
    if kind == "migrator":
        # Acts as the owner from login on: what it creates belongs to the owner role, and after
        # RESET ROLE it has no right at all. INHERIT FALSE keeps it from using both at once.
        memberships.insert(0, {"role": database["owner"], "inherit": False, "set": True, "admin": False})
        settings["role"] = database["owner"]
    privileges = entry.get("privileges") or [
        {"schema": schema["name"], "tables": rights["tables"], "sequences": rights["sequences"]}
        for schema in database["schemas"]
        if rights["tables"]
    ]
    return {
        "name": entry["name"],
        "kind": kind,
        "database": database["name"],
        "login": entry.get("login", True),
        "secret": entry.get("secret") or entry["name"],
        "attributes": _attributes(entry),
        "connection_limit": entry.get("connection_limit", -1),
        "valid_until": str(entry.get("valid_until") or ""),
        "settings": settings | _settings(entry.get("settings")),
        "memberships": memberships,
        "endpoints": list(entry.get("endpoints") or rights["endpoints"]) if entry.get("login", True) else [],
        "privileges": [
            {"schema": "public", "tables": [], "sequences": [], "functions": []} | item for item in privileges
        ],
    }


def _cluster_role(entry: dict[str, Any]) -> dict[str, Any]:
    login = entry.get("login", True)
    return {
        "name": entry["name"],
        "kind": "cluster",
        "database": "",
        "login": login,
        "secret": entry.get("secret") or entry["name"],
        "attributes": _attributes(entry),
        "connection_limit": entry.get("connection_limit", -1),
        "valid_until": str(entry.get("valid_until") or ""),
        "settings": _settings(entry.get("settings")),
        "memberships": [_membership(item) for item in entry.get("member_of") or []],
        "endpoints": list(entry.get("endpoints") or ["direct"]) if login else [],
        "privileges": [],
    }


def _attributes(entry: dict[str, Any]) -> list[str]:
    return sorted(str(item).upper() for item in entry.get("attributes") or [])


def _membership(item: Any) -> dict[str, Any]:
    short = {"role": item} if isinstance(item, str) else item
    return {"inherit": True, "set": True, "admin": False} | short


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


def pooled_databases(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The databases that at least one role reaches through the pooler."""
    names = {role["database"] for role in model["roles"] if "pooled" in role["endpoints"]}
    any_database = any("pooled" in role["endpoints"] and not role["database"] for role in model["roles"])
    return [db for db in model["databases"] if any_database or db["name"] in names]


def backend_demand(model: dict[str, Any]) -> int:
    """Server connections that the declared pools may open together, their reserves included.

    Each database is capped at pool size + reserve (`max_db_connections`), however many roles share it.
    """
    return sum(db["pool"]["size"] + db["pool"]["reserve"] for db in pooled_databases(model))
