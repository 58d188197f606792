"""Tenant isolation: names put into its SQL, and what is wrong with a database before it can be isolated."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from .reconcile import ident, literal
from .words import nearest

TYPES = {"uuid": "uuid", "bigint": "int8", "integer": "int4", "text": "text"}  # as the catalog names them

_NAME = re.compile(r""":(["'])(\w+)\1""")


def render(sql: str, values: dict[str, str]) -> str:
    """SQL with :"name" and :'name' replaced, quoted as an identifier or as a string, as psql does.

    Raises:
        KeyError: a name has no value.
    """
    return _NAME.sub(lambda match: (ident if match[1] == '"' else literal)(values[match[2]]), sql)


def names(database: dict[str, Any]) -> dict[str, str]:
    """What tenancy.sql is rendered with, of an expanded database."""
    values = dict(database["tenancy"])
    shared = ",".join(json.dumps(name, ensure_ascii=False) for name in values["shared"])
    own = {"owner": database["owner"], "guard_role": guard_role(database["name"]), "shared": f"{{{shared}}}"}
    return values | own | {"type": TYPES[values["type"]]}


def guard_role(database: str) -> str:
    """Name of the role that reads all tenants of a database for its guard; PostgreSQL would cut it off after 63."""
    name = f"pgstead_guard_{database}"
    return name if len(name) <= 63 else f"pgstead_guard_{hashlib.sha256(database.encode()).hexdigest()[:32]}"


def obstacles(
    database: dict[str, Any], tables: list[dict[str, Any]], others: list[str], nulls: dict[str, int]
) -> list[str]:
    """Why a database cannot be isolated as declared; nothing may be changed then.

    Args:
        database: an expanded database.
        tables: rows of the view tenant_tables.
        others: names of further tables, schema.table.
        nulls: rows without tenant, by table.
    """
    tenancy = database["tenancy"]
    path = f"databases[{database['name']}].tenancy"
    wanted = f"{tenancy['namespace']}.{tenancy['table']}"
    found: list[str] = []
    if wanted in others:
        found.append(f"{path}.key: table {wanted} has no column {tenancy['key']}; write the name of its primary key")
    elif tables and not any(table["name"] == wanted for table in tables):
        like = nearest(wanted, [*others, *(table["name"] for table in tables)])
        hint = f"did you mean {like.removeprefix('public.')}?" if like else "write the name of the tenants' table"
        found.append(
            f"{path}.table: there is no table {wanted}, but {', '.join(table['name'] for table in tables[:3])} "
            f"{'has' if len(tables) == 1 else 'have'} the column {tenancy['column']}; {hint}"
        )
    found += [
        f"{path}.type: column {table['column']} of {table['name']} is {table['type']}, declared is {tenancy['type']}; "
        "write its type, or change the column's"
        for table in tables
        if not table["fits"]
    ]
    found += [
        f"{path}.shared: {table['name']} has the tenant column {table['column']} and is isolated; take it out"
        for table in tables
        if table["name"] in tenancy["shared"]
    ]
    found += [
        f"{path}.column: {count} rows of {name} have no {tenancy['column']}; say whose they are, or delete them"
        for name, count in nulls.items()
        if count
    ]
    return found
