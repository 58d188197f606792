"""SQL that can be run again, with an exact answer to what it changed: the catalog is compared before and after."""

from __future__ import annotations

from typing import Any

from . import pg


def definitions(connection: Any, fingerprints: list[str], parameters: dict[str, Any]) -> dict[str, str]:
    """What these queries of fingerprint.sql say of each object they cover."""
    rows = [row for query in fingerprints for row in pg.rows(connection, query, parameters)]
    return {row["object"]: str(row["definition"]) for row in rows}


def differences(title: str, before: dict[str, str], after: dict[str, str]) -> list[dict[str, str]]:
    """Objects that differ, as Ansible shows them."""
    return [
        {
            "before_header": f"{title}: {name}",
            "after_header": f"{title}: {name}",
            "before": before.get(name, "") and before[name] + "\n",
            "after": after.get(name, "") and after[name] + "\n",
        }
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def run(
    connection: Any, sql: str, fingerprints: list[str], parameters: dict[str, Any], title: str
) -> list[dict[str, str]]:
    """Runs SQL in the connection's transaction, which is left open; the differences it made."""
    before = definitions(connection, fingerprints, parameters)
    with connection.cursor() as cursor:
        cursor.execute(sql)
    return differences(title, before, definitions(connection, fingerprints, parameters))
