#!/usr/bin/python
"""Ansible module: checks, asked of the running system and answered by lines of the checklist."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checks
short_description: Asks checks, and answers with lines of the checklist
description:
  - Asks what a C(checks.yml) and the SQL beside it name, all in one run on the node. Changes nothing.
  - Whatever goes wrong with a check, an error of its SQL or a refused connection for example, is its red line.
  - Runs through an action plugin of the same name, which reads the checks on the control node and writes them out in
    the role's context.
  - 'Each check has C(area), C(title) and C(fix), perhaps C(loop) and C(when) as tasks have them, and one of:'
  - 'C(query): C(file) or several, C(database), C(parameters) for C(%(name)s) and C(names) for C(:\"name\"); with
    C(role), it is asked with that role''s rights. Its rows are lines: C(title), C(ok), C(found), C(fix), and perhaps
    C(look) and C(area).'
  - 'C(login): C(host), C(port), C(database), C(role), C(secret), C(sslmode), and whether that is C(expected) C(in) or
    C(refused).'
  - 'C(console): what the pooler is to C(show), and C(expected) values of a C(column), or of a C(row), or C(only) these
    rows.'
  - 'C(given): texts that a task before found to differ. C(unit): a systemd unit that runs, and starts at boot.
    C(command): its arguments; it ends with 0. C(age): C(path), whose newest file is no older than C(hours). C(lab): the
    C(name) of a room''s own laboratory.'
options:
  paths:
    description:
      - Directories with a C(checks.yml), absolute or relative to the inventory or the workspace.
      - Default is C(files/checks) of the role.
    type: list
    elements: str
  passwords: {description: "By the names of secrets; the node gets those that the checks log in with.", type: dict,
              default: {}}
extends_documentation_fragment: pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Ask what is in files/checks of the role
  pgstead.platform.checks:
    passwords: "{{ secrets }}"
    port: "{{ postgresql_port }}"
  register: __postgresql_checklist

- name: Ask what is in checks of the workspace
  pgstead.platform.checks:
    paths: [checks]
"""

RETURN = r"""
lines: {description: "The lines: area, title, ok, found, fix, look.", type: list, elements: dict, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import checklist, login, pg


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            **pg.SERVER,
            # Set by the action plugin, instead of `paths`:
            "checks": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    asker = checklist.Asker(module.params, module.params["passwords"])
    lines = [line for check in module.params["checks"] for line in asker.lines(check)]
    module.exit_json(changed=False, lines=login.as_dicts(lines))


if __name__ == "__main__":
    main()
