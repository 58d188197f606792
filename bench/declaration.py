"""A declaration of many databases and roles, in pgstead's form and in that of the community's modules."""

from __future__ import annotations

from typing import Any

from ansible_collections.pgstead.platform.plugins.plugin_utils import model
from pgstead import secrets

# Kinds of the login roles of a database, in turn; beside them each database has its owner role.
KINDS = ("app", "migrator", "readonly", "app", "readonly")


def declared(databases: int, roles: int) -> dict[str, Any]:
    """Variables of pgstead's: `databases` with `roles` login roles in each, and a secret for every one."""
    entries = [
        {
            "name": f"bench{d:02}",
            "roles": [{"name": f"bench{d:02}_role{r:02}", "kind": KINDS[r % len(KINDS)]} for r in range(roles)],
            "extensions": ["vector"],
            "pool": {"size": 2, "reserve": 0},
        }
        for d in range(databases)
    ]
    return {"databases": entries, "secrets": secrets.generate(secrets.names({"databases": entries}))}


def as_peer(ours: dict[str, Any]) -> dict[str, Any]:
    """The same declaration as variables of files/peer.yml."""
    expanded = model.expand(ours["databases"], [])
    logins = model.login_roles(expanded)
    return {
        "peer_databases": [{"name": db["name"], "owner": db["owner"]} for db in expanded["databases"]],
        "peer_owners": [{"name": role["name"]} for role in expanded["roles"] if not role["login"]],
        "peer_users": [
            {"name": role["name"], "password": ours["secrets"][role["secret"]], "settings": role["settings"]}
            for role in logins
        ],
        "peer_memberships": [
            {"group": item["role"], "member": role["name"]} for role in logins for item in role["memberships"]
        ],
        "peer_schemas": [
            {"database": db["name"], "schema": schema["name"]}
            for db in expanded["databases"]
            for schema in db["schemas"]
        ],
        "peer_extensions": [
            {"database": db["name"], "extension": item["name"]}
            for db in expanded["databases"]
            for item in db["extensions"]
        ],
        "peer_rights": [right for db in expanded["databases"] for right in _rights(db, logins)],
    }


def _rights(database: dict[str, Any], logins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls of postgresql_privs for a database; roles with the same rights share a call."""
    own = [role for role in logins if role["database"] == database["name"]]
    base = {"database": database["name"], "state": "present"}
    on_database = base | {"type": "database", "objs": database["name"]}
    calls = [
        on_database | {"privs": "CONNECT", "roles": _names(own)},
        on_database | {"state": "absent", "privs": "CONNECT,TEMPORARY", "roles": "PUBLIC"},
    ]
    for kind in dict.fromkeys(role["kind"] for role in own):
        alike = [role for role in own if role["kind"] == kind]
        for item in alike[0]["privileges"]:
            roles, schema = {"roles": _names(alike)}, item["schema"]
            calls.append(base | {"type": "schema", "objs": schema, "privs": "USAGE"} | roles)
            for objects, privileges in (("TABLES", item["tables"]), ("SEQUENCES", item["sequences"])):
                if not privileges:
                    continue
                wanted = base | {"schema": schema, "privs": ",".join(privileges)} | roles
                future = {"type": "default_privs", "objs": objects, "target_roles": database["owner"]}
                calls += [
                    wanted | {"type": objects.removesuffix("S").lower(), "objs": "ALL_IN_SCHEMA"},
                    wanted | future,
                ]
    return calls


def _names(roles: list[dict[str, Any]]) -> str:
    return ",".join(role["name"] for role in roles)
