#!/usr/bin/python
"""Ansible module: the checklist's lines about tenant isolation, answered by the running system."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_tenancy
short_description: The checklist's lines about tenant isolation
description:
  - Asks the catalog, and comes through the pooler as the app role does, without context, with a made-up context, and
    twice on one server connection. Everything it does there is rolled back; no row is written or shown.
options:
  passwords: {description: "Of each database's first pooled app role, by the name of the secret.", type: dict,
              required: true}
  pooler_host: {description: Address of the pooler., type: str, required: true}
  pooler_port: {description: Port of the pooler., type: int, default: 6432}
  drift: {description: "What is not as deployed, by C(database: object).", type: list, elements: str, required: true}
  queries: {description: "What is asked: C(isolation.sql).", type: str, required: true}
extends_documentation_fragment:
  - pgstead.platform.declaration.databases
  - pgstead.platform.declaration.roles
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Ask the catalog, and come through the pooler
  pgstead.platform.verify_tenancy:
    databases: "{{ model.databases | selectattr('tenancy') }}"
    roles: "{{ model.roles }}"
    passwords: {shop_app: "{{ secrets.shop_app }}"}
    pooler_host: 127.0.0.1
    drift: []
    queries: "{{ lookup('ansible.builtin.file', 'sql/isolation.sql') }}"
  vars:
    model: "{{ databases | pgstead.platform.model([]) }}"
  register: tenancy_checklist
"""

RETURN = r"""
lines: {description: "The lines: area, title, ok, found, fix.", type: list, elements: dict, returned: always}
"""

import time
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import login, pg, tenancy, token
from ansible_collections.pgstead.platform.plugins.module_utils.login import DENIED, Endpoint, Line
from ansible_collections.pgstead.platform.plugins.module_utils.reconcile import ident, literal

# What isolation_problems() finds, by the statement that holds where it finds nothing; and what to do.
STATEMENTS: dict[str, tuple[str, str]] = {
    "enabled": ("has row-level security on for every tenant table", "pgstead deploy"),
    "forced": ("binds owners to it, too", "pgstead deploy"),
    "policy": ("has the tenant policy, unchanged, on every tenant table", "pgstead deploy"),
    "type": ("has tenant columns of the declared type", "change the column's type"),
    "null": ("knows of every row whose it is", "pgstead deploy; it names rows that have no tenant"),
    "index": ("finds a tenant's rows by an index in every table", "tenancy.indexes: create, or make it yourself"),
    "foreign key": (
        "has no foreign key from one tenant to another",
        "put the tenant column into the key, on both sides",
    ),
    "reference": ("has no table without tenants that refers to tenants' rows", "give it the tenant column"),
    "unique": ("has no unique index that tells of other tenants", "put the tenant column into it"),
    "inheritance": (
        "has no tenant table that is read through one without tenants",
        "ALTER TABLE ... NO INHERIT ..., or give the parent the tenant column",
    ),
    "lost": (
        "still isolates what was isolated once",
        "give it back its tenant column; or, if it is everybody's now, name it in tenancy.shared",
    ),
    "view": ("has views that see no more than who asks", "ALTER VIEW ... SET (security_invoker = on)"),
    "materialized view": ("has no materialized view of tenants' rows", "make it a table with the tenant column"),
    "foreign table": ("has no foreign table with tenants' rows", "isolate them where they are"),
    "right": ("grants no right that goes around policies", "REVOKE it; TRUNCATE, REFERENCES, TRIGGER"),
    "function": ("has no function that runs unbound by policies", "ALTER FUNCTION ... OWNER TO the owner role"),
}
# A tenant that nobody is, by the type of tenants' ids.
OTHERS: dict[str, Callable[[], Any]] = {
    "uuid": uuid.uuid4,
    "bigint": lambda: -(uuid.uuid4().int >> 66),
    "integer": lambda: -(uuid.uuid4().int >> 98),
    "text": uuid.uuid4,
}
MEETING_SECONDS = 10.0  # how long two clients are tried to be brought onto one server connection


def catalog_lines(connection: Any, queries: dict[str, str], area: str, bypass: list[str]) -> list[Line]:
    lines: list[Line] = []
    wrong = pg.rows(connection, queries["guard"])[0]["wrong"]
    (admin,) = pg.rows(connection, queries["admin"])
    fix = "pgstead deploy"
    if not admin["super"]:
        wrong = wrong and f"{wrong} ({admin['name']} may not create event triggers here)"
        fix = "pgstead deploy after each migration isolates what came; or have the provider make the triggers"
    lines.append(Line(area, "has its DDL guard armed", not wrong, wrong or "fires after every DDL", fix))
    oracles = pg.rows(connection, queries["oracles"])
    exposed = [row["name"] for row in oracles if row["open"]]
    more = f" and {len(exposed) - 3} more" * (len(exposed) > 3)
    answer, fix = f"open: {', '.join(exposed[:3])}{more}", "pgstead deploy; REVOKE what the app role was granted itself"
    if not admin["super"]:
        answer = f"{answer}; {admin['name']} may not close them"
        fix = "bind values as parameters, or ask the provider to REVOKE them from PUBLIC"
    closed = f"{len(oracles)} functions and views are closed"
    lines.append(Line(area, "tells no tenant what others do", not exposed, answer if exposed else closed, fix))
    count = sum(row["kind"] != "f" for row in pg.rows(connection, queries["tables"]))
    lines.append(Line(area, "has tenant tables", count > 0, f"{count} tables", "run the application's migrations"))
    found: dict[str, list[str]] = {kind: [] for kind in STATEMENTS}
    for row in pg.rows(connection, queries["problems"]):
        found[row["kind"]].append(f"{row['object']}: {row['problem']}")
    for kind, (title, fix) in STATEMENTS.items():
        text = "; ".join(found[kind][:3]) + (f"; and {len(found[kind]) - 3} more" if len(found[kind]) > 3 else "")
        lines.append(Line(area, title, not found[kind], text or f"{count} tables looked at", fix))
    free = [row["role"] for row in pg.rows(connection, queries["bypass"]) if row["role"] not in bypass]
    fix = "ALTER ROLE ... NOBYPASSRLS, or declare reach: all_tenants"
    lines.append(Line(area, "has no undeclared role beyond policies", not free, ", ".join(free) or "none", fix))
    telling = [row["indexes"] for row in pg.rows(connection, queries["telling"])]
    title = "has no index that EXPLAIN ANALYZE tells other tenants' rows by, but these"
    lines.append(Line(area, title, True, ", ".join(telling) or "no exception"))
    fired = ", ".join(row["name"] for row in pg.rows(connection, queries["triggers"]))
    title = "runs none of its triggers past all policies but these, by foreign keys"
    lines.append(Line(area, title, True, fired or "none"))
    shared = pg.rows(connection, queries["shared"])
    found_open = [row["name"] for row in shared if row["open"] and not row["declared"]]
    text = ", ".join(f"{row['name']} ({row['reason']})" for row in shared) or "no exception"
    if found_open:
        text = f"{', '.join(found_open)}: one tenant can leave there what another reads"
    fix = "give them the tenant column, or name them in tenancy.shared"
    lines.append(Line(area, "isolates all tables but these", True, text, fix, look=bool(found_open)))
    return lines


def complaint(problem: Any) -> str:
    """What is wrong with an error, "" where it is the one for a missing context."""
    text = login.short(problem)
    return "" if problem.pgcode == DENIED and text.startswith("tenant context") else text


class Clients:
    """Clients of one database's app role, as an application has them.

    Args:
        where: the pooler, or the server where there is none.
        entry: the expanded database.
        role: the app role.
        password: its password.
        tables: names of tenant tables.
        key: the two blocks of the key that tenant tokens are signed with, where there are tokens.
    """

    def __init__(
        self,
        where: Endpoint,
        entry: dict[str, Any],
        role: dict[str, Any],
        password: str,
        tables: list[str],
        key: tuple[bytes, bytes],
    ) -> None:
        self.where, self.entry, self.role, self.tables = where, entry, role, tables
        self.way = "through the pooler" if where.name == "pooled" else "at the server"
        self.tenancy = entry["tenancy"]
        self.password, self.key = password, key

    def connect(self) -> Any:
        return login.login(self.where, self.entry["name"], self.role["name"], self.password)

    def context(self) -> str:
        """SQL that sets the context of a tenant that nobody is."""
        return self.call(token.sign_with(self.key, self.stranger()) if self.tenancy["token"] else self.stranger())

    def call(self, tenant: str) -> str:
        """SQL that sets a context by an id, or by a token."""
        return f"SELECT {ident(self.tenancy['schema'])}.set_tenant({literal(tenant)})"

    def stranger(self) -> str:
        """The id of a tenant that nobody is."""
        return str(OTHERS[self.tenancy["type"]]())

    def taken(self, connection: Any) -> list[str]:
        """Tokens that are accepted and should not be."""
        bad = {
            "an id instead of a token": self.stranger(),
            "a token signed with another key": token.sign(str(uuid.uuid4()), self.stranger()),
            "an expired token": token.sign_with(self.key, self.stranger(), -60),
        }
        accepted = []
        for what, text in bad.items():
            with connection.cursor() as cursor:
                try:
                    cursor.execute(self.call(text))
                    accepted.append(f"{what} is accepted")
                except pg.Error as problem:
                    if problem.pgcode != DENIED:
                        accepted.append(f"{what}: {login.short(problem)}")
        return accepted

    def unbound(self, connection: Any, *before: str) -> list[str]:
        """Tables that do not refuse to be read after these statements, all in one transaction that is rolled back."""
        open_tables = []
        for table in self.tables:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                try:
                    for statement in before:
                        cursor.execute(statement)
                    cursor.execute(f"SELECT FROM {table} LIMIT 1")
                    open_tables.append(f"{table} can be read")
                except pg.Error as problem:
                    if text := complaint(problem):
                        open_tables.append(f"{table}: {text}")
                finally:
                    cursor.execute("ROLLBACK")
        return open_tables

    def seen(self, connection: Any) -> list[str]:
        """Tables in which a tenant that nobody is sees rows."""
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                cursor.execute(self.context())
                found = []
                for table in self.tables:
                    cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
                    found += [table] if cursor.fetchone()[0] else []
                return found
            finally:
                cursor.execute("ROLLBACK")

    def meet(self) -> list[str]:
        """One client sets a context, the next comes onto the same server connection: what it finds there."""
        deadline = time.monotonic() + MEETING_SECONDS
        table = self.tables[0]
        with closing(self.connect()) as first, closing(self.connect()) as second:
            while time.monotonic() < deadline:
                with first.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute(self.context())
                    cursor.execute(f"SELECT pg_backend_pid() FROM (SELECT count(*) FROM {table}) AS rows")
                    before = cursor.fetchone()[0]
                    cursor.execute("COMMIT")
                with second.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute("SELECT pg_backend_pid()")
                    same = cursor.fetchone()[0] == before
                    answer = ""
                    try:
                        cursor.execute(f"SELECT FROM {table} LIMIT 1")
                        answer = "rows could be read"
                    except pg.Error as problem:
                        answer = complaint(problem)
                    cursor.execute("ROLLBACK")
                if answer or same:
                    return [answer] if answer else []
        return [f"two clients never got the same server connection in {MEETING_SECONDS:.0f} s; run it again"]


def live_lines(client: Clients, area: str) -> list[Line]:
    setting, made_up = client.tenancy["setting"], client.stranger()
    count = f"{len(client.tables)} tables, as {client.role['name']} {client.way}"
    questions: dict[str, tuple[Callable[[Any], list[str]], str]] = {
        "refuses who set no tenant": (client.unbound, f"42501 from {count}"),
        f"refuses who only sets {setting}": (
            lambda connection: client.unbound(connection, f"SET LOCAL {setting} = {literal(made_up)}"),
            f"42501 from {count}",
        ),
        "shows nothing to a tenant that nobody is": (client.seen, f"0 rows in {count}"),
    }
    if client.where.name == "pooled":
        answer = "one server connection served both"
        questions["keeps a context from the next client"] = (lambda _: client.meet(), answer)
    if client.tenancy["token"]:
        questions["takes a tenant by a signed token alone"] = (client.taken, "42501 for all others")
    lines = []
    for title, (question, answer) in questions.items():
        try:
            with closing(client.connect()) as connection:
                wrong = question(connection)
        except pg.Error as problem:
            wrong = [login.short(problem)]
        fix = "pgstead deploy; then see what the other lines of these tenants say"
        lines.append(Line(area, title, not wrong, "; ".join(wrong[:3]) or answer, fix))
    return lines


def database_lines(module: AnsibleModule, entry: dict[str, Any]) -> list[Line]:
    parameters, area = module.params, f"tenants of {entry['name']}"
    own = [role for role in parameters["roles"] if role["database"] in ("", entry["name"])]
    bypass = [role["name"] for role in own if "BYPASSRLS" in role["attributes"]]
    role = next((r for r in own if r["kind"] == "app" and "pooled" in r["endpoints"]), None)
    values = tenancy.names(entry) | {"role": role["name"] if role else "public"}
    queries = {name: tenancy.render(text, values) for name, text in parameters["queries"].items()}
    try:
        with closing(pg.administer(entry["name"], parameters)) as connection:
            connection.autocommit = True
            if not pg.rows(connection, queries["installed"])[0]["installed"]:
                return [Line(area, "are isolated", False, f"no schema {entry['tenancy']['schema']}", "pgstead deploy")]
            lines = catalog_lines(connection, queries, area, bypass)
            # What a line above says of a table is said; here it is about those that should be isolated by now.
            said = {row["object"] for row in pg.rows(connection, queries["problems"])}
            readable = [row["name"] for row in pg.rows(connection, queries["readable"])] if role else []
            tables = [name for name in readable if name not in said]
            # Of the database, so that no key comes here (whether it is the declared one is said by `drift`); where it
            # has none, one that it does not take.
            keys = token.blocks_in(connection, entry["tenancy"]["schema"]) if entry["tenancy"]["token"] else []
            key = keys[0] if keys else token.blocks(str(uuid.uuid4()))
        if role and tables:
            managed = parameters["managed"] or {}
            place = (parameters["pooler_host"], parameters["pooler_port"])
            where = Endpoint("direct" if place == (managed.get("host"), managed.get("port")) else "pooled", *place)
            lines += live_lines(Clients(where, entry, role, parameters["passwords"][role["secret"]], tables, key), area)
    except pg.Error as problem:
        return [Line(area, "can be asked", False, login.short(problem), "pgstead deploy; then see the server's log")]
    return lines


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "required": True},
            "roles": {"type": "list", "elements": "dict", "required": True},
            "passwords": {"type": "dict", "required": True, "no_log": True},
            **pg.SERVER,
            "pooler_host": {"type": "str", "required": True},
            "pooler_port": {"type": "int", "default": 6432},
            "drift": {"type": "list", "elements": "str", "required": True},
            "queries": {"type": pg.blocks, "required": True},
        },
        supports_check_mode=True,
    )
    lines: list[Line] = []
    for entry in module.params["databases"]:
        lines += database_lines(module, entry)
        own = [step.partition(": ")[2] for step in module.params["drift"] if step.startswith(f"{entry['name']}: ")]
        title, fix = "has its functions and rights as deployed", "pgstead deploy --check --diff shows it"
        lines.append(Line(f"tenants of {entry['name']}", title, not own, "; ".join(own) or "no difference", fix))
    module.exit_json(changed=False, lines=login.as_dicts(lines))


if __name__ == "__main__":
    main()
