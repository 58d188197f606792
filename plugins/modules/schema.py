#!/usr/bin/python
"""Ansible module: the sqitch projects of databases, deployed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: schema
short_description: Deploys the sqitch projects of databases
description:
  - Puts each project on the node, below C(/var/lib/pgstead/schemas), and deploys the changes that its database lacks,
    as the owner role. What is lacking is found by comparing the plan with the registry; sqitch is started only then.
  - A change that fails, or whose verify script fails, is taken back; what was deployed before it stays. The module
    fails with the change's name and PostgreSQL's message, and the next run goes on there.
  - Refuses, before anything is changed, a plan that is not the one that was deployed so far, and scripts that were
    edited after they were deployed.
options:
  projects:
    description: The projects with their files, as the filter C(pgstead.platform.projects) reads them.
    type: list
    elements: dict
    required: true
  passwords: {description: "Of the migrators, by the name of the secret.", type: dict, default: {}}
extends_documentation_fragment:
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: Deploy the schema projects
  pgstead.platform.schema:
    projects: >-
      {{ model.databases | selectattr('schema_project') | pgstead.platform.projects(model.roles, inventory_dir) }}
    passwords: {shop_migrator: "{{ secrets.shop_migrator }}"}
  vars:
    model: "{{ databases | pgstead.platform.model([]) }}"
"""

RETURN = r"""
deployed:
  description: "Changes that were, or in check mode would be, deployed: C(database: change)."
  type: list
  elements: str
  returned: always
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import pg
from ansible_collections.pgstead.platform.plugins.module_utils.files import apply_all
from ansible_collections.pgstead.platform.plugins.module_utils.schema_project import HOME, RefusedError, Schema


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "projects": {"type": "list", "elements": "dict", "required": True},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            **pg.SERVER,
        },
        supports_check_mode=True,
    )
    os.umask(0o022)  # the postgres user reads what is written here, whatever this node's umask is
    result: dict[str, Any] = {"changed": False, "deployed": [], "diff": []}
    failure = ""
    try:
        passwords = module.params["passwords"]
        schemas = [
            Schema(wanted, passwords.get(wanted["secret"], ""), module.params, module.check_mode)
            for wanted in module.params["projects"]
        ]
        for schema in schemas:
            schema.check()
        for schema in schemas:
            changes, new = schema.changes(), schema.pending
            if not module.check_mode:
                apply_all(changes)
                HOME.parent.chmod(0o755)  # not made by this module alone
                failure = schema.deploy() if new else ""
                new = new[: len(new) - len(schema.pending)]
            result["changed"] = result["changed"] or bool(changes or new)
            result["deployed"] += [f"{schema.database}: {name}" for name in new]
            # A new script is not shown: that it is deployed says enough.
            result["diff"] += [change.diff for change in changes if change.before is not None]
            result["diff"] += [schema.diff(new)] if new else []
            if failure:
                break
    except (RefusedError, pg.Error, OSError, ValueError) as problem:
        failure = str(problem).strip()
    if failure:
        module.fail_json(msg=failure, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
