#!/usr/bin/python
"""Ansible module: the checklist's lines about the server, answered by the running server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_server
short_description: The checklist's lines about the server
description:
  - Asks the running server, and logs in as every declared role over the direct URL. Changes nothing.
options:
  passwords: {description: "Of the roles that log in, by the name of the secret.", type: dict, required: true}
  host: {description: Address to log in to., type: str, required: true}
  version: {description: Declared major version., type: int, required: true}
  minor: {description: Declared minor version., type: str, default: ""}
  drift: {description: "What a deploy would change, by title: lists of texts.", type: dict, required: true}
  pending_restart: {description: Settings that wait for a restart., type: list, elements: str, required: true}
  queries: {description: "What is asked: C(verify.sql).", type: str, required: true}
extends_documentation_fragment:
  - pgstead.platform.declaration.model
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Ask the server
  pgstead.platform.verify_server:
    model: "{{ databases | pgstead.platform.model([]) }}"
    passwords: {shop_app: "{{ secrets.shop_app }}"}
    host: 127.0.0.1
    version: 16
    drift: {has configuration files as declared: []}
    pending_restart: []
    queries: "{{ lookup('ansible.builtin.file', 'sql/verify.sql') }}"
  register: postgresql_checklist
"""

RETURN = r"""
lines: {description: "The lines: area, title, ok, found, fix.", type: list, elements: dict, returned: always}
"""

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import login, pg
from ansible_collections.pgstead.platform.plugins.module_utils.login import Endpoint, Line

RIGHTS = "has no right beyond its kind"


def asked(area: str, title: str, question: Callable[..., list[Line]], *arguments: Any) -> list[Line]:
    """Lines whose questions the server may fail to answer: then one red line with what it said instead."""
    try:
        return question(*arguments)
    except pg.Error as problem:
        return [Line(area, title, False, login.short(problem), "pgstead deploy; then see the server's log")]


def connect(database: str, server: dict[str, Any]) -> Any:
    """A connection in which a question that fails does not spoil the next one."""
    connection = pg.administer(database, server)
    connection.autocommit = True
    return connection


def server_lines(connection: Any, module: AnsibleModule) -> list[Line]:
    parameters, queries = module.params, module.params["queries"]
    row = pg.rows(connection, queries["server"])[0]
    version = parameters["minor"] or str(parameters["version"])
    overridden = [f"{item['name']} (by {item['by']})" for item in pg.rows(connection, queries["overridden"])]
    pending = parameters["pending_restart"]
    unread = [item["text"] for item in pg.rows(connection, queries["unread"])]
    lines = [
        Line(
            "server",
            f"runs PostgreSQL {version}",
            f"{row['version']}.".startswith(f"{version}."),
            row["version"],
            "pgstead deploy",
        ),
        Line(
            "server",
            "has data checksums on",
            row["checksums"] == "on",
            f"data_checksums = {row['checksums']}",
            "pg_checksums --enable, with the server stopped",
        ),
        Line("server", "serves TLS", row["ssl"] == "on", f"ssl = {row['ssl']}", "remove ssl from postgresql_settings"),
        Line(
            "server",
            "admits passwords by SCRAM alone",
            row["weak_hba"] == 0 and row["weak_passwords"] == 0,
            f"{row['weak_hba']} weak lines in pg_hba.conf, {row['weak_passwords']} weak passwords",
            "remove the lines from postgresql_hba; set those passwords again",
        ),
        Line(
            "server",
            "has no superuser with a password",
            not row["superusers_with_password"],
            row["superusers_with_password"] or "none",
            "ALTER ROLE ... PASSWORD NULL",
        ),
        Line(
            "server",
            "runs the declared settings",
            not overridden,
            ", ".join(overridden) or "no override",
            "ALTER SYSTEM RESET ..., or declare the value in postgresql_settings",
        ),
        Line(
            "server",
            "has read its configuration files",
            not unread,
            "; ".join(unread) or "none changed since, none has errors",
            "pgstead deploy; or SELECT pg_reload_conf()",
        ),
        Line(
            "server",
            "waits for no restart",
            not pending,
            ", ".join(pending) or "nothing pending",
            "pgstead deploy -e postgresql_restart=true",
        ),
    ]
    return lines


def drift_line(title: str, found: list[str]) -> Line:
    text = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
    return Line("server", title, not found, text or "no difference", "pgstead deploy --check --diff shows it")


def database_lines(module: AnsibleModule, entry: dict[str, Any]) -> list[Line]:
    parameters, queries = module.params, module.params["queries"]
    area = f"database {entry['name']}"
    try:
        connection = connect(entry["name"], parameters)
    except pg.Error as problem:
        return [Line(area, "exists", False, login.short(problem), "pgstead deploy")]
    lines: list[Line] = []
    for extension in entry["extensions"]:
        name = extension["name"]
        lines += asked(area, f"has {name}", extension_lines, connection, queries, area, name)
    for role in parameters["model"]["roles"]:
        if role["database"] == entry["name"] and role["kind"] != "owner":
            lines += asked(f"role {role['name']}", RIGHTS, rights_lines, connection, queries, role, entry)
    connection.close()
    return lines


def extension_lines(connection: Any, queries: dict[str, str], area: str, name: str) -> list[Line]:
    found = pg.rows(connection, queries["extension"], {"name": name})
    if not found:
        return [Line(area, f"has {name}", False, "not installed", "pgstead deploy")]
    if name != "vector":
        return [Line(area, f"has {name}", True, found[0]["installed"])]
    schema = found[0]["schema"]  # need not be in the search_path
    distance = f"SELECT '[1,0]'::{schema}.vector OPERATOR({schema}.<=>) '[0,1]'::{schema}.vector AS distance"
    computes = pg.rows(connection, distance)[0]["distance"] == 1
    return [Line(area, f"has {name}, and it computes", computes, found[0]["installed"], "pgstead deploy")]


def rights_lines(connection: Any, queries: dict[str, str], role: dict[str, Any], entry: dict[str, Any]) -> list[Line]:
    """What the catalog says a role could do beyond its kind."""
    area, title = f"role {role['name']}", RIGHTS
    found = pg.rows(connection, queries["role"], {"role": role["name"], "owner": entry["owner"]})
    if not found:
        return [Line(area, title, False, "the role does not exist", "pgstead deploy")]
    row, excess = found[0], []
    if row["powerful"] and not role["attributes"]:
        excess.append("an attribute like SUPERUSER or BYPASSRLS")
    if row["owned"]:
        excess.append(f"owns {row['owned']} objects")
    if row["temporary"] or row["create_schema"]:
        excess.append("TEMPORARY or CREATE on the database")
    if row["create_in"]:
        excess.append(f"CREATE in {row['create_in']}")
    if row["acts_as_owner"] or (row["member_of_owner"] and role["kind"] != "migrator"):
        excess.append("membership in the owner role")
    text = "; ".join(excess) or "owns nothing, creates nothing, is no member of the owner"
    return [Line(area, title, not excess, text, "pgstead deploy -e postgresql_prune=true")]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "model": {"type": "dict", "required": True},
            "passwords": {"type": "dict", "required": True, "no_log": True},
            "host": {"type": "str", "required": True},
            **pg.SERVER,
            "version": {"type": "int", "required": True},
            "minor": {"type": "str", "default": ""},
            "drift": {"type": "dict", "required": True},
            "pending_restart": {"type": "list", "elements": "str", "required": True},
            "queries": {"type": pg.blocks, "required": True},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        connection = connect("postgres", parameters)
    except pg.Error as problem:
        lines = [
            Line("server", "answers", False, login.short(problem), "systemctl status postgresql@*; pgstead deploy")
        ]
        module.exit_json(changed=False, lines=login.as_dicts(lines))
    lines = asked("server", "answers", server_lines, connection, module)
    connection.close()
    lines += [drift_line(title, found) for title, found in parameters["drift"].items()]
    for entry in parameters["model"]["databases"]:
        lines += database_lines(module, entry)
    endpoint = Endpoint("direct", parameters["host"], parameters["port"])
    lines += login.check_logins(parameters["model"], endpoint, parameters["passwords"])
    module.exit_json(changed=False, lines=login.as_dicts(lines))


if __name__ == "__main__":
    main()
