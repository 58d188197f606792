"""Rows of the tenant table: which database, which columns, and what a new row lacks."""

from __future__ import annotations

import re
from typing import Any

from .words import nearest

NAME = re.compile(r"(^|_)(name|title|label|slug)($|_)")
SECRET = re.compile(r"passw|secret|token|credential|private|api_?key", re.I)  # values of such columns stay on the node
BULKY = ("bytea", "json", "vector", "halfvec", "tsvector")
FEW = 6  # columns in a list
UNSHOWN = "***"


class RefusedError(ValueError):
    """What is asked for cannot be; nothing was changed.

    Args:
        message: why.
        hint: what to do instead.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def choose(databases: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The database with tenants that is meant.

    Args:
        databases: expanded ones.
        name: of it; "" where there is only one.

    Raises:
        RefusedError: it is not clear which, or it has no tenants.
    """
    isolated = {entry["name"]: entry for entry in databases if entry["tenancy"]}
    names = ", ".join(isolated)
    if not isolated:
        raise RefusedError("no database declares tenancy", "give one databases[].tenancy in platform.yml, then deploy")
    if name in isolated:
        return isolated[name]
    if name:
        why = "has no tenancy" if any(entry["name"] == name for entry in databases) else "is not declared"
        raise RefusedError(f"database {name} {why}", f"those with tenants: {names}")
    if len(isolated) > 1:
        raise RefusedError("several databases have tenants", f"say which with --database: {names}")
    return next(iter(isolated.values()))


def choose_signed(databases: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """As choose(), among the databases that take tenant tokens.

    Raises:
        RefusedError: it is not clear which, or it takes none.
    """
    signed = [entry for entry in databases if entry["tenancy"] and entry["tenancy"]["token"]]
    if not signed or (name and name not in [entry["name"] for entry in signed]):
        entry = choose(databases, name)
        why = f"database {entry['name']} takes a tenant's id, no token"
        raise RefusedError(why, "SELECT set_tenant() with the id; tenancy.token: true would ask for tokens")
    return choose(signed, name)


def few(columns: list[dict[str, Any]], key: str) -> list[str]:
    """The columns of a list: the key, then what tells people which tenant it is."""
    plain = [
        column["name"]
        for column in columns
        if column["name"] != key and not SECRET.search(column["name"]) and not column["type"].startswith(BULKY)
    ]
    return [key, *sorted(plain, key=lambda name: not NAME.search(name))][:FEW]


def order(columns: list[dict[str, Any]], key: str) -> str:
    """The column to sort a list by: the first text that is a name."""
    texts = {column["name"] for column in columns if column["type"].startswith(("text", "character"))}
    return next((name for name in few(columns, key)[1:] if name in texts and NAME.search(name)), key)


def new_row(columns: list[dict[str, Any]], key: str, given: dict[str, Any], wanted_key: str) -> dict[str, Any]:
    """The values of a new row by column.

    Args:
        columns: of the tenant table: name, type, and whether a row must say it (`needed`).
        key: name of the key column.
        given: values by column.
        wanted_key: the new tenant's key, "" where the table makes it.

    Raises:
        RefusedError: a column is unknown, or one that must be said is not.
    """
    known = [column["name"] for column in columns]
    for name in given:
        if name not in known:
            like = nearest(name, known)
            meant = f"did you mean {like}? " if like else ""
            raise RefusedError(f"the tenants' table has no column {name}", f"{meant}known columns: {', '.join(known)}")
    if wanted_key and key in given:
        raise RefusedError(f"the key is given twice, by --key and by --set {key}=", "leave one out")
    values = {**({key: wanted_key} if wanted_key else {}), **given}
    missing = [column["name"] for column in columns if column["needed"] and values.get(column["name"]) is None]
    if missing:
        how = " ".join("--key KEY" if name == key else f"--set {name}=VALUE" for name in missing)
        raise RefusedError(f"a new tenant needs a value for {', '.join(missing)}", f"add {how}")
    return values
