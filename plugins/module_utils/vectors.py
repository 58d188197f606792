"""Which index fits a column of vectors: decided by the size of the largest tenant. Nothing here asks a server."""

from __future__ import annotations

import hashlib
import re
from typing import Any

# Exact search compares every row of the tenant; see docs/how-to/vectors.md for what was measured.
THRESHOLD = 2500
OPCLASS = "vector_cosine_ops"
MOST = {"vector": 2000, "halfvec": 4000}  # dimensions that pgvector indexes
_OPCLASS = re.compile(r"^(?:vector|halfvec)(_\w+_ops)$")


def index_name(*parts: str) -> str:
    """The same for the same index at any time; shortened to what PostgreSQL takes."""
    whole = "_".join(("pgstead", *parts))
    if len(whole.encode()) <= 63:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole.encode()[:54].decode(errors='ignore')}_{digest}"


def advise(column: dict[str, Any], threshold: int = THRESHOLD, opclass: str = "") -> dict[str, Any]:
    """What fits one column, and what to run for it.

    Args:
        column: namespace, table, column, type, dimensions (0: any), tenant (its tenant column, or ""), partitioned,
            extension (the schema of pgvector), rows, largest (rows of the largest tenant), and parts: the table, or its
            partitions, each with namespace, table, led (has an index led by the tenant) and indexes (namespace, name,
            method, opclass, expression, partial, valid, building).
        threshold: of rows of the largest tenant.
        opclass: for a new index; "" for that of an index that is there, else cosine.

    Returns:
        fits ("exact" or "hnsw"), why, notes, and steps: names of statements in vectors.sql with the names in them.
    """
    small = column["largest"] < threshold
    whose = "the largest tenant has" if column["tenant"] else "the table has no tenant column and"
    size = f"{whose} {column['largest']} rows, {'below' if small else 'not below'} {threshold}"
    result: dict[str, Any] = {"fits": "exact" if small else "hnsw", "why": "", "notes": [], "steps": []}
    by = f"the index on {column['tenant']}" if column["tenant"] else "all its rows"
    beside = "; small tenants stay exact" if column["tenant"] else ""
    result["why"] = f"{size}: through {by} nothing is missed" if small else f"{size}{beside}"
    unfit = "" if small else _unfit(column)
    if unfit:
        result["notes"].append(unfit)
    for part in column["parts"]:
        _part(column, part, result, build=not small and not unfit, opclass=opclass)
    if result["steps"] and any(step["sql"] != "drop" for step in result["steps"]):
        result["steps"].append({"sql": "analyze", "names": _names(column)})
    if column["partitioned"] and not small:
        result["notes"].append(f"{_shown(column)} is partitioned: a new partition has no HNSW index until the next run")
    return result


def _unfit(column: dict[str, Any]) -> str:
    """Why pgvector cannot index the column, "" where it can."""
    where, kind, most = f"{_shown(column)}.{column['column']}", column["type"], MOST[column["type"]]
    if not column["dimensions"]:
        return f"{where} has no dimensions and cannot be indexed: ALTER COLUMN ... TYPE {kind}(N)"
    if column["dimensions"] > most:
        other = ": a column of halfvec takes 4000" if kind == "vector" else ""
        return f"{where} has {column['dimensions']} dimensions, an index on {kind} takes {most}{other}"
    return ""


def _part(column: dict[str, Any], part: dict[str, Any], result: dict[str, Any], build: bool, opclass: str) -> None:
    """The steps and notes of one table that holds rows."""
    valid = [index for index in part["indexes"] if index["valid"]]
    lists = [index for index in valid if index["method"] == "ivfflat"]
    for index in lists:
        result["notes"].append(
            f"{index['name']} is ivfflat: built on an empty table, or one that has grown since, its recall@5 was"
            " measured as .06 to .17, of 1 (docs/how-to/vectors.md); it stays; to drop it: "
            f'DROP INDEX CONCURRENTLY "{index["namespace"]}"."{index["name"]}"'
        )
    whole = [index for index in valid if index["method"] == "hnsw" and not index["partial"]]
    wanted = _of_type(opclass, column["type"])
    there = [index for index in whole if not wanted or _of_type(index["opclass"], column["type"]) == wanted]
    for index in there:
        if index["expression"]:
            result["notes"].append(f"{index['name']} is on an expression: only queries that write it so use it")
        elif result["fits"] == "exact":
            result["notes"].append(f"{index['name']} is not needed yet: each insert pays for it")
    chosen = wanted or next(
        (_of_type(index["opclass"], column["type"]) for index in lists if _OPCLASS.match(index["opclass"])),
        _of_type(OPCLASS, column["type"]),
    )
    metric = chosen.split("_", 1)[1].removesuffix("_ops")
    hnsw = index_name(part["table"], column["column"], "hnsw", metric)
    _step(result, part, "hnsw", hnsw, build and not there, _names(column) | {"opclass": chosen})
    if column["tenant"]:
        btree = index_name(part["table"], column["tenant"], "btree")
        _step(result, part, "btree", btree, not part["led"], _names(column))
    ours = {step["names"]["index"] for step in result["steps"] if step["sql"] == "drop"}
    for index in part["indexes"]:
        if not index["valid"] and not index["building"] and index["name"] not in ours:
            result["notes"].append(
                f"{index['name']} is invalid, which a broken-off build left; to drop it: "
                f'DROP INDEX CONCURRENTLY "{index["namespace"]}"."{index["name"]}"'
            )


def _step(
    result: dict[str, Any], part: dict[str, Any], sql: str, name: str, wanted: bool, names: dict[str, str]
) -> None:
    """Builds an index where it is wanted; what a broken-off run left under its name goes in any case."""
    left = next((index for index in part["indexes"] if index["name"] == name and not index["valid"]), None)
    here = names | _names(part) | {"index": name}
    if left and left["building"]:
        result["notes"].append(f"{name} is being built at this moment")
        return
    if left:
        result["steps"].append({"sql": "drop", "names": here})
    if wanted:
        result["steps"].append({"sql": sql, "names": here})


def _of_type(opclass: str, kind: str) -> str:
    """The same operator class for a column of this type."""
    return _OPCLASS.sub(rf"{kind}\1", opclass)


def _names(item: dict[str, Any]) -> dict[str, str]:
    return {name: item[name] for name in ("namespace", "table", "column", "tenant", "extension") if name in item}


def _shown(item: dict[str, Any]) -> str:
    return f"{item['namespace']}.{item['table']}"


def role_notes(database: str, settings: list[dict[str, Any]]) -> list[str]:
    """Roles whose sessions an HNSW index would give fewer rows than they ask for."""
    off = [s["role"] for s in settings if s["name"] == "hnsw.iterative_scan" and s["value"] in ("off", None)]
    advice = "pgstead deploy sets it for kinds app and readonly of a database with tenancy and the extension declared"
    return [f"{database}: hnsw.iterative_scan is off for {', '.join(off)}: {advice}"] if off else []
