#!/usr/bin/python
"""Ansible module: a set of files in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Writes or removes a set of files in one step
description:
  - Compares, writes atomically and reports a list of files at once. A role's files cost one round trip, not one each.
options:
  trial:
    description: Command that must succeed once the files are written; where it fails they are put back as they were.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - pgstead.platform.files
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: A file, a file that must not be there, and a command that judges both
  pgstead.platform.files:
    files:
      - {dest: /etc/example/example.conf, content: "answer = 42\n"}
      - {dest: /etc/example/old.conf, state: absent}
    trial: [example, --check-config]
"""

RETURN = r"""
changed_files:
  description: Paths that were, or in check mode would be, written or removed.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils.files import (
    SPEC,
    apply_all,
    planned,
    undo_all,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **SPEC,
            "trial": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        changes = planned(module.params, is_fresh=module.check_mode)
        if changes and not module.check_mode:
            apply_all(changes)
            if module.params["trial"]:
                rc, out, err = module.run_command(module.params["trial"], environ_update={"LC_ALL": "C.UTF-8"})
                if rc:
                    undo_all(changes)
                    module.fail_json(msg=f"{err.strip() or out.strip()}\nThe files are as they were before.")
    except (ValueError, OSError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(
        changed=bool(changes),
        changed_files=[str(change.path) for change in changes],
        diff=[change.diff for change in changes],
    )


if __name__ == "__main__":
    main()
