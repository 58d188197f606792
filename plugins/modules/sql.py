#!/usr/bin/python
"""Ansible module: repeatable SQL of a role, with an exact answer to whether it changed anything."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sql
short_description: Applies a role's repeatable SQL, and knows exactly whether it changed anything
description:
  - Runs SQL that can be run again (CREATE OR REPLACE, IF NOT EXISTS, GRANT) in one transaction, and compares what the
    catalog says of the named schemas and roles before and after. Without a difference, and in check mode, the
    transaction is rolled back. So drift is repaired, and a run without change is one.
options:
  sql: {description: The SQL., type: str, required: true}
  databases: {description: Databases to run it in., type: list, elements: str, required: true}
  schemas: {description: Schemas whose objects the SQL may change., type: list, elements: str, default: []}
  roles: {description: Database roles that the SQL may change., type: list, elements: str, default: []}
  fingerprints: {description: "What is compared: C(fingerprint.sql).", type: str, required: true}
extends_documentation_fragment:
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: Password lookup in the server
  pgstead.platform.sql:
    sql: "{{ lookup('ansible.builtin.file', 'sql/lookup.sql') }}"
    databases: [postgres]
    schemas: [pgbouncer]
    roles: [pgbouncer]
    fingerprints: "{{ lookup('ansible.builtin.file', role_path ~ '/../postgresql/files/sql/fingerprint.sql') }}"
"""

RETURN = r"""
changed_databases: {description: Databases in which something changed., type: list, elements: str, returned: always}
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import applied, pg


def apply(module: AnsibleModule, database: str) -> list[dict[str, str]]:
    """Runs the SQL in one database; the differences it made, as Ansible shows them."""
    parameters = {"schemas": module.params["schemas"], "roles": module.params["roles"], "catalog": False}
    connection = pg.administer(database, module.params)
    try:
        queries = list(module.params["fingerprints"].values())
        diff = applied.run(connection, module.params["sql"], queries, parameters, database)
        if not diff or module.check_mode:
            connection.rollback()
        else:
            connection.commit()
    finally:
        connection.close()
    return diff


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sql": {"type": "str", "required": True},
            "databases": {"type": "list", "elements": "str", "required": True},
            "schemas": {"type": "list", "elements": "str", "default": []},
            "roles": {"type": "list", "elements": "str", "default": []},
            **pg.SERVER,
            "fingerprints": {"type": pg.blocks, "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode and pg.is_absent(module.params):
        module.exit_json(changed=True, changed_databases=module.params["databases"], diff=[])
    diff: list[dict[str, str]] = []
    changed: list[str] = []
    for database in module.params["databases"]:
        try:
            made = apply(module, database)
        except pg.Error as problem:
            if module.check_mode and "does not exist" in str(problem):
                made = [{"before": "", "after": f"{database}: to be created\n"}]
            else:
                module.fail_json(msg=f"database {database}: {str(problem).strip()}")
        diff += made
        changed += [database] if made else []
    module.exit_json(changed=bool(changed), changed_databases=changed, diff=diff)


if __name__ == "__main__":
    main()
