#!/usr/bin/python
"""Ansible module: which index fits each column of vectors, and builds it where asked to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vectors
short_description: Says which index fits each column of vectors, and builds it where asked to
description:
  - Counts the rows of every tenant, and recommends exact search through the index on the tenant column, or an HNSW
    index beside it once the largest tenant has grown.
  - Builds concurrently, as long as C(maintenance_work_mem) of the server lets it take. No valid index is ever dropped.
options:
  database: {description: "Of this one alone; else of all that have the extension.", type: str, default: ""}
  threshold: {description: "From so many rows of the largest tenant on an HNSW index fits.", type: int, default: 2500}
  opclass: {description: Operator class of new indexes., type: str, default: "",
            choices: ["", vector_cosine_ops, vector_l2_ops, vector_ip_ops, vector_l1_ops]}
  apply: {description: Build what fits., type: bool, default: false}
  queries: {description: "What is asked: C(vectors.sql).", type: str, required: true}
extends_documentation_fragment:
  - pgstead.platform.declaration.databases
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Which index fits each column of vectors
  pgstead.platform.vectors:
    databases: "{{ (databases | pgstead.platform.model([])).databases }}"
    queries: "{{ lookup('ansible.builtin.file', 'sql/vectors.sql') }}"
"""

RETURN = r"""
report: {description: "columns with their sizes and what fits, settings of roles, notes, statements.", type: dict,
         returned: always}
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import pg, tenancy, vectors
from ansible_collections.pgstead.platform.plugins.module_utils.tenants import RefusedError


class Database:
    """One database with the extension.

    Args:
        module: its parameters.
        entry: the expanded database.
        connection: to it, as the superuser.
        extension: schema of pgvector.
    """

    def __init__(self, module: AnsibleModule, entry: dict[str, Any], connection: Any, extension: str) -> None:
        self.parameters, self.connection, self.extension = module.params, connection, extension
        self.name, self.entry = entry["name"], entry
        self.ask("load")
        migrators = [role["name"] for role in entry["roles"] if role.get("kind") == "migrator"]  # who do not search
        settings = [row for row in self.ask("settings") if row["role"] not in migrators]
        self.settings = [{"database": self.name} | row for row in settings]
        self.columns = list(self._columns())

    def _columns(self) -> Iterator[dict[str, Any]]:
        own = self.entry["tenancy"] or {}
        names = {
            "tenant_namespace": own.get("namespace", ""),
            "tenant_table": own.get("table", ""),
            "tenant_key": own.get("key", ""),
            "tenant_column": own.get("column", ""),
        }
        indexes = self.ask("indexes")
        found = self.ask("columns", names)
        for (namespace, table, name), parts in groupby(
            found, key=lambda row: (row["root_namespace"], row["root"], row["column"])
        ):
            column = {"database": self.name, "namespace": namespace, "table": table, "column": name}
            column |= {"extension": self.extension, "parts": []}
            for part in parts:
                column |= {key: part[key] for key in ("type", "dimensions", "tenant", "partitioned")}
                column["parts"].append(
                    {key: part[key] for key in ("namespace", "table", "led")}
                    | {"indexes": [index for index in indexes if _on(index, part)]}
                )
            column |= self._sizes(column)
            advice = vectors.advise(column, self.parameters["threshold"], self.parameters["opclass"])
            texts = [tenancy.render(self.parameters["queries"][s["sql"]], s["names"]) for s in advice.pop("steps")]
            yield column | advice | {"statements": [" ".join(text.split()) for text in texts]}

    def statements(self) -> list[str]:
        """What makes what fits; each is a transaction of its own. Two columns may want the same of their table."""
        return list(dict.fromkeys(text for column in self.columns for text in column["statements"]))

    def _sizes(self, column: dict[str, Any]) -> dict[str, Any]:
        """Rows of the column, and of its largest tenant: counted by who may see them all, and is no superuser."""
        reader = tenancy.guard_role(self.name) if self.entry["tenancy"] else self.entry["owner"]
        query = self.parameters["queries"]["sizes of tenants" if column["tenant"] else "size"]
        return pg.rows_seen_by(self.connection, reader, tenancy.render(query, column))[0]

    def ask(self, name: str, names: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a query of vectors.sql."""
        return pg.rows(self.connection, tenancy.render(self.parameters["queries"][name], names or {}))


def _on(index: dict[str, Any], part: dict[str, Any]) -> bool:
    """Is it an index of vectors on this column, or one that was not built to its end, on this table?"""
    return index["relation"] == part["relation"] and (index["attnum"] == part["attnum"] or index["method"] == "btree")


def chosen(databases: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The databases to look at."""
    found = [entry for entry in databases if name in ("", entry["name"])]
    if not found:
        names = ", ".join(entry["name"] for entry in databases) or "none"
        raise RefusedError(f"database {name} is not declared", f"declared: {names}")
    return found


def run(module: AnsibleModule) -> dict[str, Any]:
    """Looks at every database, and builds where asked to: the report."""
    parameters = module.params
    report: dict[str, Any] = {"threshold": parameters["threshold"], "columns": [], "settings": [], "notes": []}
    report["statements"] = []
    build = parameters["apply"] and not module.check_mode
    without = []
    for entry in chosen(parameters["databases"], parameters["database"]):
        with closing(pg.administer(entry["name"], parameters)) as connection:
            connection.autocommit = True
            extension = pg.rows(connection, parameters["queries"]["extension"])
            if not extension:
                without.append(entry["name"])
                continue
            database = Database(module, entry, connection, extension[0]["schema"])
            report["columns"] += database.columns
            report["settings"] += database.settings
            if any(column["fits"] == "hnsw" for column in database.columns):
                report["notes"] += vectors.role_notes(entry["name"], database.settings)
            for statement in database.statements():
                report["statements"].append(statement)
                if build:
                    _build(connection, statement)
    if without and not report["settings"]:
        raise RefusedError(
            f"no extension vector in {', '.join(without)}",
            "declare it: databases[].extensions: [vector], then pgstead deploy",
        )
    return report


def _build(connection: Any, statement: str) -> None:
    try:
        pg.rows(connection, statement)
    except pg.Error as problem:
        raise StepError(f"{str(problem).strip()}: {statement}") from problem


class StepError(Exception):
    """PostgreSQL did not build an index."""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "required": True},
            "database": {"type": "str", "default": ""},
            "threshold": {"type": "int", "default": vectors.THRESHOLD},
            "opclass": {
                "type": "str",
                "default": "",
                "choices": ["", "vector_cosine_ops", "vector_l2_ops", "vector_ip_ops", "vector_l1_ops"],
            },
            "apply": {"type": "bool", "default": False},
            **pg.SERVER,
            "queries": {"type": pg.blocks, "required": True},
        },
        supports_check_mode=True,
    )
    try:
        report = run(module)
    except RefusedError as problem:
        module.fail_json(msg=str(problem), refused=problem.hint)
    except StepError as problem:
        module.fail_json(msg=str(problem))
    except pg.Error as problem:
        module.fail_json(msg=str(problem).strip())
    module.exit_json(changed=module.params["apply"] and bool(report["statements"]), report=report)


if __name__ == "__main__":
    main()
