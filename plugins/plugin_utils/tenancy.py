"""What tenants mean for roles, and contradictions between the two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .shape import Problem

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

_UNBOUND = {"BYPASSRLS", "SUPERUSER"}  # attributes of roles that row-level security leaves alone


def expand(database: dict[str, Any], roles: list[dict[str, Any]]) -> None:
    """Writes out what `tenancy` and `reach` mean.

    The tenant table's schema is apart (`namespace`), tables in `shared` have theirs, and `token` is the name of the
    secret that tokens are signed with, "" where there are none.
    """
    for role in roles:
        role["attributes"] += ["BYPASSRLS"] * (role["reach"] == "all_tenants")
    tenancy = database["tenancy"]
    if not tenancy:
        return
    namespace, _, table = tenancy["table"].rpartition(".")
    tenancy |= {
        "namespace": namespace or "public",
        "table": table,
        "token": f"{database['name']}_tenant_token" if tenancy["token"] else "",
        "shared": [name if "." in name else f"public.{name}" for name in map(str, tenancy["shared"])],
    }
    for role in roles:
        role["settings"] = _settings(database, role["kind"]) | role["settings"]
        role["writers"] = False  # a large object is everybody's who knows its number


def _settings(database: dict[str, Any], kind: str) -> dict[str, str]:
    """Settings of a role of this kind."""
    if kind not in TENANT_SETTINGS:
        return {}
    settings = dict(TENANT_SETTINGS[kind])
    if kind != "migrator" and any(item["name"] == "vector" for item in database["extensions"]):
        settings |= VECTOR_SETTINGS
    schemas = [item["name"] for item in database["schemas"]]
    schemas += [item["schema"] for item in database["extensions"] if item["schema"]]
    # No "$user" in it: a schema of that name would come first, and what stands there instead of what was meant.
    return settings | {"search_path": ", ".join(dict.fromkeys(schemas))}


def problems(expanded: dict[str, Any], values: dict[str, Any]) -> Iterator[Problem]:
    """Whose rows each role sees is said, and said only where it means something."""
    unbound = _unbound(expanded)
    for i, (database, long) in enumerate(zip(values.get("databases") or [], expanded["databases"], strict=True)):
        tenancy = long["tenancy"]
        own = tenancy and tenancy["schema"]
        if own in [item["name"] for item in long["schemas"]]:
            fix = "take it out of schemas; it is pgstead's and belongs to the superuser, or write tenancy.schema"
            yield Problem(f"databases[{i}].schemas", repr(own), fix)
        for j, role in enumerate(database.get("roles") or []):
            path, kind, reach = f"databases[{i}].roles[{j}]", role.get("kind") or "app", role.get("reach")
            if reach and not (tenancy and kind == "readonly"):
                yield Problem(
                    f"{path}.reach", repr(reach), "only a kind: readonly role of a database with tenancy has one"
                )
            elif tenancy and kind == "readonly" and not reach:
                fix = "write reach: tenant (the tenant whose context it sets) or reach: all_tenants (everybody's rows)"
                yield Problem(f"{path}.reach", "nothing", fix)
            sees_all = kind == "custom" and _UNBOUND & set(role.get("attributes") or [])
            if tenancy and sees_all and "pooled" in (role.get("endpoints") or []):
                fix = "it sees every tenant's rows; keep it out of the pool: endpoints: [direct]"
                yield Problem(f"{path}.endpoints", "pooled", fix)
            for k, item in enumerate(role.get("member_of") or []):
                group = item if isinstance(item, str) else item["role"]
                if tenancy and kind in ("app", "readonly") and (why := unbound.get(group)):
                    fix = f"{why}, so no policy would bind this role; take it out"
                    yield Problem(f"{path}.member_of[{k}]", repr(group), fix)


def _unbound(expanded: dict[str, Any]) -> dict[str, str]:
    """Roles that reach every tenant's rows, with the reason."""
    found = {"postgres": "it is the superuser"}
    for role in expanded["roles"]:
        for attribute in sorted(_UNBOUND & set(role["attributes"])):
            found[role["name"]] = f"it has {attribute}"
    # An owner is bound by FORCE, but it can change what binds it.
    return found | {database["owner"]: "it owns the tables" for database in expanded["databases"]}
