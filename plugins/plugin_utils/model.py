"""Expands a declaration: every default filled in, every shorthand written out, every kind spelled as rights.

The short form is for people (platform.yml), the long form for templates and the reconcile module:
one place decides what `kind: app` means.
"""

from __future__ import annotations

from typing import Any

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

# Settings of roles in a database with tenancy. A plan made for one tenant is wrong for another, so none is kept;
# whoever waits, idles in a transaction or scans without end does it at all tenants' expense.
TENANT_SETTINGS: dict[str, dict[str, str]] = {
    "app": {
        "plan_cache_mode": "force_custom_plan",
        "statement_timeout": "30s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
    },
    "migrator": {
        "plan_cache_mode": "force_custom_plan",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "10min",
    },
    "readonly": {
        "plan_cache_mode": "force_custom_plan",
        "statement_timeout": "5min",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
    },
}
# pgvector, for kinds app and readonly: an HNSW scan that goes on until enough of the tenant's own rows are found. With
# ef_search = 100 recall@5 of the largest of 100 tenants was .90 on data without structure, with 300 .96
# (bench/vectors.py).
VECTOR_SETTINGS = {"hnsw.iterative_scan": "relaxed_order", "hnsw.ef_search": "300"}

TENANCY_DEFAULTS: dict[str, Any] = {
    "key": "id",
    "type": "uuid",
    "setting": "app.current_tenant",
    "schema": "app",
    "policy_prefix": "tenant_isolation_",
    "guard": "refuse",
    "indexes": "report",
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
        roles += [_role(entry, database, entry.get("kind") or "app") for entry in database["roles"]]
    return {"databases": long_databases, "roles": roles}


def _database(entry: dict[str, Any]) -> dict[str, Any]:
    name = entry["name"]
    return {
        "name": name,
        "owner": entry.get("owner") or f"{name}_owner",
        "encoding": entry.get("encoding") or "UTF8",
        "locale": entry.get("locale") or "",
        "connection_limit": _number(entry.get("connection_limit"), -1),
        "settings": _settings(entry.get("settings")),
        "extensions": [_named(item, {"schema": "", "version": ""}) for item in entry.get("extensions") or []],
        "schemas": [_named(item, {"owner": ""}) for item in entry.get("schemas") or ["public"]],
        "pool": _pool(entry.get("pool") or {}),
        "schema_project": entry.get("schema_project") or "",
        "tenancy": _tenancy(name, entry.get("tenancy")),
        "roles": entry.get("roles") or [],
    }


def _tenancy(name: str, entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of a database's name; None where it has no tenants.

    The tenant table's schema is apart (`namespace`), tables in `shared` have theirs, and `token` is the name of the
    secret that tokens are signed with, "" where there are none.
    """
    if not entry:
        return None
    given = {key: str(value) for key, value in entry.items() if value is not None and key != "shared"}
    shared = [name if "." in name else f"public.{name}" for name in map(str, entry.get("shared") or [])]
    namespace, dot, table = given["table"].rpartition(".")
    token = f"{name}_tenant_token" if _truth(entry.get("token"), False) else ""
    own = {"namespace": namespace if dot else "public", "table": table, "token": token, "shared": shared}
    return TENANCY_DEFAULTS | given | own


def _tenant_settings(database: dict[str, Any], kind: str) -> dict[str, str]:
    """Settings of a role in a database with tenancy; none in others."""
    if not database["tenancy"] or kind not in TENANT_SETTINGS:
        return {}
    settings = dict(TENANT_SETTINGS[kind])
    if kind != "migrator" and any(item["name"] == "vector" for item in database["extensions"]):
        settings |= VECTOR_SETTINGS
    schemas = [item["name"] for item in database["schemas"]]
    schemas += [item["schema"] for item in database["extensions"] if item["schema"]]
    # No "$user" in it: a schema of that name would come first, and what stands there instead of what was meant.
    return settings | {"search_path": ", ".join(dict.fromkeys(schemas))}


def _pool(entry: dict[str, Any]) -> dict[str, Any]:
    numbers = {key: _number(entry.get(key), POOL_DEFAULTS[key]) for key in ("size", "reserve")}
    return numbers | {"mode": entry.get("mode") or POOL_DEFAULTS["mode"]}


# Quotes, and `-e` on the command line, make texts of numbers and booleans; schema.py lets the same ones through.


def _number(value: Any, default: int) -> int:
    return default if value is None else int(value)


def _truth(value: Any, default: bool) -> bool:
    return default if value is None else str(value).lower() in ("true", "yes", "on", "1")


def _role(entry: dict[str, Any], database: dict[str, Any], kind: str) -> dict[str, Any]:
    rights = KINDS.get(kind, KINDS["custom"])
    memberships = [_membership(item) for item in entry.get("member_of") or []]
    settings = _tenant_settings(database, kind) | rights["settings"]
    reach = str(entry.get("reach") or "")
    attributes = _attributes(entry) + ["BYPASSRLS"] * (reach == "all_tenants")
    if kind == "migrator":
        # Acts as the owner from login on: what it creates belongs to the owner role, and after
        # RESET ROLE it has no right at all. INHERIT FALSE keeps it from using both at once.
        memberships.insert(0, {"role": database["owner"], "inherit": False, "set": True, "admin": False})
        settings["role"] = database["owner"]
    kinds_own = {key: rights[key] for key in ("tables", "sequences", "functions")}
    privileges = entry.get("privileges")
    if privileges is None:
        privileges = [
            {"schema": schema["name"]} | kinds_own for schema in database["schemas"] if any(kinds_own.values())
        ]
    login = _truth(entry.get("login"), True)
    return {
        "name": entry["name"],
        "kind": kind,
        "database": database["name"],
        "login": login,
        "secret": entry.get("secret") or entry["name"],
        "attributes": attributes,
        "reach": reach,
        "connection_limit": _number(entry.get("connection_limit"), -1),
        "valid_until": str(entry.get("valid_until") or ""),
        "settings": settings | _settings(entry.get("settings")),
        "memberships": memberships,
        "endpoints": list(entry.get("endpoints") or rights["endpoints"]) if login else [],
        "privileges": [
            {"schema": "public", "tables": [], "sequences": [], "functions": []} | item for item in privileges
        ],
        # A large object is everybody's who knows its number.
        "writers": rights["writers"] and not database["tenancy"],
    }


def _cluster_role(entry: dict[str, Any]) -> dict[str, Any]:
    login = _truth(entry.get("login"), True)
    return {
        "name": entry["name"],
        "kind": "cluster",
        "database": "",
        "login": login,
        "secret": entry.get("secret") or entry["name"],
        "attributes": _attributes(entry),
        "connection_limit": _number(entry.get("connection_limit"), -1),
        "valid_until": str(entry.get("valid_until") or ""),
        "settings": _settings(entry.get("settings")),
        "memberships": [_membership(item) for item in entry.get("member_of") or []],
        "endpoints": list(entry.get("endpoints") or ["direct"]) if login else [],
        "privileges": [],
        "writers": False,
    }


def _attributes(entry: dict[str, Any]) -> list[str]:
    return sorted(str(item).upper() for item in entry.get("attributes") or [])


def _membership(item: Any) -> dict[str, Any]:
    short = {"role": item} if isinstance(item, str) else item
    return {"role": short["role"]} | {
        option: _truth(short.get(option), default)
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
