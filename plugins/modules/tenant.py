#!/usr/bin/python
"""Ansible module: rows of a database's tenant table."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant
short_description: Lists, shows and adds rows of a database's tenant table
description:
  - A tenant is a row of the application's own table, never a line of the inventory. Nothing is ever deleted.
options:
  database: {description: "Which of them; may be left out where only one has tenants.", type: str, default: ""}
  action: {description: What to do., type: str, choices: [list, show, add], default: list}
  key: {description: "The tenant's key; for C(add) only where the table does not make it.", type: str, default: ""}
  values: {description: Values of a new tenant by column., type: dict, default: {}}
  passwords: {description: "For C(add): of the migrators, who add tenants, by the name of the secret.", type: dict,
              default: {}}
  queries: {description: "What is asked: C(tenants.sql).", type: str, required: true}
extends_documentation_fragment:
  - pgstead.platform.declaration.databases
  - pgstead.platform.declaration.roles
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Add a tenant
  pgstead.platform.tenant:
    databases: "{{ model.databases }}"
    roles: "{{ model.roles }}"
    passwords: {shop_migrator: "{{ secrets.shop_migrator }}"}
    action: add
    values: {name: North}
    queries: "{{ lookup('ansible.builtin.file', 'sql/tenants.sql') }}"
  vars:
    model: "{{ databases | pgstead.platform.model([]) }}"
"""

RETURN = r"""
report: {description: "database, table, key (the column's name), and tenants, or tenant with rows by table.",
         type: dict, returned: always}
"""

from contextlib import closing
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import pg, tenancy, tenants, token
from ansible_collections.pgstead.platform.plugins.module_utils.reconcile import ident
from ansible_collections.pgstead.platform.plugins.module_utils.tenants import RefusedError

# SQLSTATE classes of what is wrong with the values and not with the server: data, constraints, types, raised errors.
VALUES = ("22", "23", "42", "44", "P0")


class Table:
    """The tenant table of one database.

    Args:
        connection: to it, as the superuser to read, as the migrator to add.
        entry: the expanded database.
        queries: of tenants.sql.
        signing_key: the two blocks of the key of tenant tokens, None where a tenant is set by its id.
    """

    def __init__(
        self,
        connection: Any,
        entry: dict[str, Any],
        queries: dict[str, str],
        signing_key: tuple[bytes, bytes] | None = None,
    ) -> None:
        self.connection, self.queries, self.names = connection, queries, entry["tenancy"]
        self.reader, self.signing_key = tenancy.guard_role(entry["name"]), signing_key
        self.key, self.name = self.names["key"], f"{self.names['namespace']}.{self.names['table']}"
        self.columns = self._rows("columns", self.names)
        known = [column["name"] for column in self.columns]
        if self.key not in known:
            what = f"has no column {self.key}" if known else "is not there"
            raise RefusedError(
                f"the tenants' table {self.name} of {entry['name']} {what}",
                "run the application's migrations, or correct tenancy in platform.yml",
            )
        self.secret = [name for name in known if tenants.SECRET.search(name) and name != self.key]
        self.about = {"database": entry["name"], "table": self.name, "key": self.key}

    def all(self) -> dict[str, Any]:
        """All tenants, with the columns that tell them apart."""
        shown = tenants.few(self.columns, self.key)
        hidden = [column["name"] for column in self.columns if column["name"] not in shown]
        names = self.names | {"order": tenants.order(self.columns, self.key)}
        return {"columns": shown, "tenants": [row["tenant"] for row in self._seen("list", names, hidden=hidden)]}

    def show(self, key: str) -> dict[str, Any]:
        """One tenant, and how many rows it has in each table."""
        found = self._seen("show", self.names, hidden=self.secret, key=key)
        if not found:
            raise RefusedError(f"{self.name} has no tenant {key}", "pgstead tenant list shows those it has")
        counts = {
            table["name"]: self._seen("count", table, key=key)[0]["count"] for table in self._rows("tables", self.names)
        }
        return {"tenant": self._row(found), "rows": counts}

    def add(self, values: dict[str, Any], dry: bool) -> dict[str, Any]:
        """A new row; in check mode only its values are tried, because an insert would use up a number of a sequence."""
        given = {name: None if value is None else str(value) for name, value in values.items()}
        if dry:
            types = {column["name"]: column["type"] for column in self.columns}
            for name, value in given.items():
                pg.rows(self.connection, f"SELECT CAST(%s AS {types[name]})", [value])
            shown = {name: tenants.UNSHOWN if name in self.secret else value for name, value in values.items()}
            return {"tenant": shown}
        if given.get(self.key) is None:  # the policy demands that the tenant is set before its row is there
            default = next(column["default"] for column in self.columns if column["name"] == self.key)
            given[self.key] = str(pg.rows(self.connection, f"SELECT ({default})::text AS key")[0]["key"])
        tenant = given[self.key]
        context = token.sign_with(self.signing_key, tenant) if self.signing_key else tenant
        pg.rows(self.connection, f"SELECT {ident(self.names['schema'])}.set_tenant(%s)", [context])
        slots = {f"value{i}": value for i, value in enumerate(given.values())}
        parts = self.names | {
            "columns": ", ".join(ident(name).replace("%", "%%") for name in given),
            "values": ", ".join(f"%({slot})s" for slot in slots),
        }
        return {"tenant": self._row(self._rows("add", parts, hidden=self.secret, **slots))}

    def _row(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        """The row in the table's order of columns; jsonb has its own."""
        row = found[0]["tenant"]
        return {column["name"]: row.get(column["name"], tenants.UNSHOWN) for column in self.columns}

    def _rows(self, query: str, names: dict[str, Any], **values: Any) -> list[dict[str, Any]]:
        return pg.rows(self.connection, self._text(query, names, values), values or None)

    def _seen(self, query: str, names: dict[str, Any], **values: Any) -> list[dict[str, Any]]:
        """Rows of tables, which are their owner's: never read with the superuser's rights."""
        return pg.rows_seen_by(self.connection, self.reader, self._text(query, names, values), values)

    def _text(self, query: str, names: dict[str, Any], values: dict[str, Any]) -> str:
        text = self.queries[query]
        if values:
            for list_ in ("columns", "values"):
                text = text.replace(f":{list_}", names.get(list_, ""))
            names = {name: str(value).replace("%", "%%") for name, value in names.items()}
        return tenancy.render(text, names)


def migrator(parameters: dict[str, Any], entry: dict[str, Any]) -> Any:
    """A connection of who may add a tenant: the migrator, as the owner.

    Raises:
        RefusedError: the database has none.
    """
    own = [r for r in parameters["roles"] if r["kind"] == "migrator" and r["database"] in ("", entry["name"])]
    if not own:
        why = f"database {entry['name']} declares no role of kind migrator, who would add it"
        raise RefusedError(why, "declare one, then pgstead deploy; or let the application add its tenants")
    role, password = own[0]["name"], parameters["passwords"][own[0]["secret"]]
    return pg.log_in_as(role, password, entry["name"], parameters, acting_for=entry["owner"])


def run(module: AnsibleModule) -> dict[str, Any]:
    """What was asked for: the report."""
    parameters = module.params
    action, key = parameters["action"], parameters["key"]
    if action == "show" and not key:
        raise RefusedError("no tenant is named", "name its key; pgstead tenant list shows them")
    entry = tenants.choose(parameters["databases"], parameters["database"])
    if action != "add":
        with closing(pg.administer(entry["name"], parameters)) as connection:
            connection.autocommit = True
            asked = tenancy.render(parameters["queries"]["installed"], entry["tenancy"])
            if not pg.rows(connection, asked)[0]["installed"]:
                raise RefusedError(f"database {entry['name']} isolates no tenants yet", "pgstead deploy")
            table = Table(connection, entry, parameters["queries"])
            return table.about | (table.all() if action == "list" else table.show(key))
    signing_key = None
    if entry["tenancy"]["token"]:  # what the database has is enough to sign with
        with closing(pg.administer(entry["name"], parameters)) as connection:
            keys = token.blocks_in(connection, entry["tenancy"]["schema"])
        if not keys:
            raise RefusedError(f"database {entry['name']} has no key of tenant tokens", "pgstead deploy brings it")
        signing_key = keys[0]
    with closing(migrator(parameters, entry)) as connection:
        connection.set_session(readonly=module.check_mode)
        table = Table(connection, entry, parameters["queries"], signing_key)
        values = tenants.new_row(table.columns, table.key, parameters["values"], key)
        made = table.add(values, module.check_mode)
        connection.commit()
        return table.about | made


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "required": True},
            "database": {"type": "str", "default": ""},
            "action": {"type": "str", "choices": ["list", "show", "add"], "default": "list"},
            "key": {"type": "str", "default": "", "no_log": False},
            "values": {"type": "dict", "default": {}},
            **pg.SERVER,
            "roles": {"type": "list", "elements": "dict", "required": True},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "queries": {"type": pg.blocks, "required": True},
        },
        supports_check_mode=True,
    )
    try:
        report = run(module)
    except RefusedError as problem:
        module.fail_json(msg=str(problem), refused=problem.hint or "nothing was changed")
    except pg.Error as problem:
        # Its first line alone: the others may show the row.
        text, state = str(problem).strip().splitlines()[0], problem.pgcode or ""
        if state == "42P01":
            module.fail_json(msg=text, refused="pgstead deploy makes what isolates tenants")
        if state.startswith(VALUES):
            module.fail_json(msg=text, refused="correct the value; nothing was changed")
        module.fail_json(msg=text)
    module.exit_json(changed=module.params["action"] == "add", report=report)


if __name__ == "__main__":
    main()
