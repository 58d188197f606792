#!/usr/bin/python
"""Ansible module: tenant isolation of databases, applied and kept."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenancy
short_description: Isolates tenants in databases by row-level security, and keeps them isolated
description:
  - Installs the tenant context, the policies' reader and the DDL guard in each database, then protects every table
    that has the tenant column, one short transaction each, so that a run that was broken off goes on where it stopped.
  - What stands in the way (a column of another type, rows without tenant, a table that is not there) is listed
    before anything is changed.
options:
  sql: {description: "The SQL by its file's name (tenancy, oracles, context, token), with C(:\"name\") for what
        C(tenancy) says.", type: dict, required: true}
  migrators: {description: "Expanded roles that act as owners: they make columns NOT NULL.", type: list,
              elements: dict, default: []}
  passwords: {description: "Of the migrators, by the name of the secret; not needed in check mode.", type: dict,
              default: {}}
  keys:
    description: What tenant tokens are checked with, by database, as the filter C(pgstead.platform.token_keys) has it.
    type: dict
    default: {}
  reporting: {description: "Whether what stands in the way is no failure, because it is only asked what there is.",
              type: bool, default: false}
  lock_seconds: {description: How long a table's lock is waited for before others are let by., type: int, default: 2}
  attempts: {description: How often it is tried again., type: int, default: 10}
  queries: {description: "What is asked: C(isolation.sql) and C(guard.sql).", type: str, required: true}
  fingerprints: {description: "What is compared: C(fingerprint.sql).", type: str, required: true}
extends_documentation_fragment:
  - pgstead.platform.declaration.databases
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: Isolate tenants
  pgstead.platform.tenancy:
    databases: "{{ (databases | pgstead.platform.model([])).databases | selectattr('tenancy') }}"
    sql:
      tenancy: "{{ lookup('ansible.builtin.file', 'sql/tenancy.sql') }}"
      context: "{{ lookup('ansible.builtin.file', 'sql/context.sql') }}"
    queries: |
      {{ lookup('ansible.builtin.file', 'sql/isolation.sql') }}
      {{ lookup('ansible.builtin.file', 'checks/guard.sql') }}
    fingerprints: "{{ lookup('ansible.builtin.file', role_path ~ '/../postgresql/files/sql/fingerprint.sql') }}"
"""

RETURN = r"""
steps: {description: What was, or would be, done., type: list, elements: str, returned: always}
differs: {description: Functions, views, rights and triggers that are not as deployed., type: list, elements: str,
          returned: always}
notes: {description: What keeps tenants from being isolated and only people can change., type: list, elements: str,
        returned: always}
"""

import time
from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import applied, pg, tenancy, token
from ansible_collections.pgstead.platform.plugins.module_utils.reconcile import ident

PROBE = "pgstead_tenant_not_null"  # constraint that lives only while a column is made NOT NULL


class Database:
    """One database to isolate.

    Args:
        module: its parameters.
        entry: the expanded database.
    """

    def __init__(self, module: AnsibleModule, entry: dict[str, Any]) -> None:
        self.module, self.entry, self.own = module, entry, ident(entry["tenancy"]["schema"])
        self.name = entry["name"]
        self.steps: list[str] = []
        self.notes: list[str] = []
        self.diff: list[dict[str, str]] = []
        self.connection = pg.administer(self.name, module.params)
        (self.admin,) = self._ask("admin")

    def install(self) -> list[str]:
        """Runs the SQL in a transaction that stays open; what stands in the way."""
        parameters = self.module.params
        names = tenancy.names(self.entry)
        scope = {"schemas": [names["schema"]], "roles": [names["guard_role"]], "catalog": True}
        asked = ["fingerprint", *(["fingerprint_roles"] if self.admin["super"] else [])]
        secret = self.entry["tenancy"]["token"]
        if refusal := self._taken() or (self._unsigned() if secret else ""):
            return [refusal]
        text = "".join(parameters["sql"][name] for name in ("tenancy", "oracles", "token" if secret else "context"))
        sql = tenancy.render(text, names)
        self.diff = applied.run(
            self.connection, sql, [parameters["fingerprints"][name] for name in asked], scope, self.name
        )
        if secret:
            self._sign_with(parameters["keys"].get(self.name, []))
        wrong = self._obstacles()
        if self.module.check_mode and not wrong:
            self._sweep(dry=True)
        return wrong

    def _sign_with(self, keys: list[dict[str, str]]) -> None:
        """Puts the keys of tokens into their table."""
        found = map(token.digest, token.blocks_in(self.connection, self.entry["tenancy"]["schema"]))
        if sorted(found) == sorted(key["digest"] for key in keys):
            return
        if not self.module.check_mode:
            table = f"{self.own}.token_keys"
            self._rows(f"DELETE FROM {table}")
            for key in keys:
                pair = bytes.fromhex(key["inner"]), bytes.fromhex(key["outer"])
                pg.rows(self.connection, f"INSERT INTO {table} VALUES (%s, %s)", pair)
        # What they were and are is nobody's business.
        title = f"{self.name}: signing keys of tenant tokens"
        headers = {"before_header": title, "after_header": title}
        self.diff.append(headers | {"before": "other keys\n", "after": "as declared\n"})

    def settle(self) -> None:
        """Keeps what install() did where it changed something; no database is changed before all of them can be."""
        if self.module.check_mode or not self.diff:
            self.connection.rollback()
        else:
            self.connection.commit()

    def _taken(self) -> str:
        """The schema must be nobody else's."""
        found, schema = self._ask("taken"), self.entry["tenancy"]["schema"]
        if not found:
            return ""
        path = f"databases[{self.name}].tenancy.schema"
        return f"{path}: schema {schema} exists and belongs to {found[0]['owner']}; write the name of a new one"

    def _unsigned(self) -> str:
        """What keeps a tenant that a token set must be out of everybody's reach."""
        if self.admin["super"]:
            return ""
        path, name = f"databases[{self.name}].tenancy.token", self.admin["name"]
        return f"{path}: found true, but {name} is no superuser here, and the tenant is kept in a superuser's setting"

    def _obstacles(self) -> list[str]:
        tables, wanted = self._ask("tables"), self.entry["tenancy"]
        nulls = {
            table["name"]: self._count(
                table, f"SELECT count(*) FROM {table['name']} WHERE {ident(table['column'])} IS NULL"
            )
            for table in tables
            if table["fits"] and not table["not_null"] and table["kind"] != "f" and not table["partition"]
        }
        if not any(table["name"] == f"{wanted['namespace']}.{wanted['table']}" for table in tables):
            self.notes.append(f"{self.name}: waits for its table {wanted['table']}")
        others = [row["name"] for row in self._ask("shared")]
        return tenancy.obstacles(self.entry, tables, others, nulls)

    def _count(self, table: dict[str, Any], query: str) -> int:
        """Rows of an owner's table: counted with the rights of who sees all of them, and is no superuser."""
        if not self.admin["super"]:
            return int(self._rows(query)[0]["count"])
        parameters = self.module.params
        with closing(pg.administer(self.name, parameters)) as connection:
            asked = tenancy.render(parameters["queries"]["reader"], tenancy.names(self.entry))
            (found,) = pg.rows(connection, asked, {"relation": table["relation"]})
            connection.rollback()
            return int(pg.rows_seen_by(connection, found["reader"], query)[0]["count"])

    def sweep(self) -> None:
        """Protects what is there already; each step is a transaction of its own."""
        self.connection.autocommit = True
        self._rows(f"SET lock_timeout = '{self.module.params['lock_seconds']}s'")
        if self.admin["super"]:  # the guard would do it all again after each statement
            self._rows("SET session_replication_role = replica")
        self._sweep(dry=False)
        self._rows(f"SELECT {self.own}.remember(NULL::pg_catalog.oid[])")

    def _sweep(self, dry: bool) -> None:
        tables = [table for table in self._ask("tables") if table["kind"] != "f"]
        for table in tables:
            if table["bare"]:
                self._do(
                    dry, f"isolate {table['name']}", f"SELECT {self.own}.protect({table['relation']}::pg_catalog.oid)"
                )
        views = self._ask("views")
        for view in views:
            self._do(
                dry, f"security_invoker for {view['name']}", f"ALTER VIEW {view['name']} SET (security_invoker = on)"
            )
        for table in tables:
            if not table["not_null"] and not table["partition"]:
                self._not_null(dry, table["name"], table["column"])
        missing = {row["object"] for row in self._ask("problems") if row["kind"] == "index"}
        for table in tables:
            if table["name"] in missing and self.entry["tenancy"]["indexes"] == "create":
                self._do(dry, f"index {table['name']} by {table['column']}", self._index(table))

    def _index(self, table: dict[str, Any]) -> str:
        # A partitioned table's cannot be built concurrently; its partitions have theirs by then, which it takes over.
        how = "" if table["kind"] == "p" else "CONCURRENTLY "
        return f"CREATE INDEX {how}ON {table['name']} ({ident(table['column'])})"

    def _not_null(self, dry: bool, table: str, column: str) -> None:
        """In steps of which none holds a lock while it reads the table (PostgreSQL manual, ALTER TABLE, Notes).

        By the migrator: whether a CHECK implies it is looked at, and so what that calls is evaluated.
        """
        parameters, key = self.module.params, ident(column)
        own = next((r for r in parameters["migrators"] if r["database"] == self.name), None)
        if self.admin["super"] and not own:
            self.notes.append(
                f"{self.name}: {column} of {table} may be null, and no migrator is declared to change that"
            )
            return
        what = f"NOT NULL for {key} of {table}"
        self.steps.append(f"{self.name}: {what}")
        if dry:
            return
        steps = (
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {PROBE}",
            f"ALTER TABLE {table} ADD CONSTRAINT {PROBE} CHECK ({key} IS NOT NULL) NOT VALID",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {PROBE}",
            f"ALTER TABLE {table} ALTER COLUMN {key} SET NOT NULL",
            f"ALTER TABLE {table} DROP CONSTRAINT {PROBE}",
        )
        if not self.admin["super"] or not own:
            for step in steps:
                self._patiently(self.connection, what, step)
            return
        password, owner = parameters["passwords"][own["secret"]], self.entry["owner"]
        with closing(pg.log_in_as(own["name"], password, self.name, parameters, owner)) as connection:
            connection.autocommit = True
            pg.rows(connection, f"SET lock_timeout = '{parameters['lock_seconds']}s'")
            for step in steps:
                self._patiently(connection, what, step)

    def _do(self, dry: bool, what: str, *statements: str) -> None:
        self.steps.append(f"{self.name}: {what}")
        if dry:
            return
        for statement in statements:
            self._patiently(self.connection, what, statement)

    def _patiently(self, connection: Any, what: str, statement: str) -> None:
        """Tries again where a lock is not to be had: whoever waits for one makes all others wait behind it."""
        for attempt in range(self.module.params["attempts"]):
            try:
                pg.rows(connection, statement)
                return
            except pg.Error as problem:
                if problem.pgcode != "55P03" or attempt + 1 == self.module.params["attempts"]:
                    raise StepError(what, problem) from problem
                time.sleep(0.5 * (attempt + 1))

    def report(self) -> None:
        """Notes on what is left."""
        if not self.admin["super"] and not self._ask("guard")[0]["ok"]:
            self.notes.append(
                f"{self.name}: there is no DDL guard, because {self.admin['name']} may not create event triggers here; "
                "a table that arrives is isolated by the next deploy"
            )
        if not self.module.check_mode:
            self.notes += [f"{self.name}: {row['object']} {row['problem']}" for row in self._ask("problems")]

    def _ask(self, name: str) -> list[dict[str, Any]]:
        return self._rows(tenancy.render(self.module.params["queries"][name], self.entry["tenancy"]))

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return pg.rows(self.connection, query)


def installed(module: AnsibleModule, database: Database) -> list[str]:
    """What stands in the way of a database; where it is only asked what there is, an error is an answer as well."""
    try:
        return database.install()
    except pg.Error as problem:
        if not module.params["reporting"]:
            raise
        database.connection.rollback()
        database.diff = [{"after_header": f"{database.name}: {str(problem).strip().splitlines()[0]}"}]
        return []


class StepError(Exception):
    """PostgreSQL refused a step."""

    def __init__(self, what: str, problem: Exception) -> None:
        hint = "; a transaction keeps the table, a later deploy goes on here" if "lock timeout" in str(problem) else ""
        super().__init__(f"{what}: {str(problem).strip()}{hint}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "required": True},
            "sql": {"type": "dict", "required": True},
            "migrators": {"type": "list", "elements": "dict", "default": []},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "keys": {"type": "dict", "default": {}, "no_log": True},
            **pg.SERVER,
            "reporting": {"type": "bool", "default": False},
            "lock_seconds": {"type": "int", "default": 2},
            "attempts": {"type": "int", "default": 10},
            "queries": {"type": pg.blocks, "required": True},
            "fingerprints": {"type": pg.blocks, "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params["databases"]
    steps: list[str] = []
    if module.check_mode and pg.is_absent(module.params):
        module.exit_json(
            changed=bool(wanted),
            steps=[f"{entry['name']}: isolate tenants" for entry in wanted],
            differs=[],
            notes=[],
        )
    opened: list[Database] = []
    for entry in wanted:
        try:
            opened.append(Database(module, entry))
        except pg.Error as problem:
            if not (module.check_mode and "does not exist" in str(problem)):
                module.fail_json(msg=f"database {entry['name']}: {str(problem).strip()}")
            steps.append(f"{entry['name']}: isolate tenants")
    try:
        obstacles = [line for database in opened for line in installed(module, database)]
        if obstacles and not module.params["reporting"]:
            module.fail_json(msg="\n".join(["nothing was changed; in the way of isolating tenants:", *obstacles]))
        for database in opened:
            database.settle()
        for database in opened:
            if not module.check_mode:
                database.sweep()
            database.report()
    except (pg.Error, StepError) as problem:
        module.fail_json(msg=f"{str(problem).strip()}")
    for database in opened:
        steps += [f"{database.name}: context, guard and rights"] * bool(database.diff) + database.steps
    module.exit_json(
        changed=bool(steps),
        steps=steps,
        differs=[item["after_header"] for database in opened for item in database.diff],
        notes=[note for database in opened for note in database.notes],
        diff=[item for database in opened for item in database.diff],
    )


if __name__ == "__main__":
    main()
