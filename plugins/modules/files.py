#!/usr/bin/python
"""Ansible module: a set of files in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Writes or removes a set of files in one step
description:
  - Compares, writes atomically and reports a list of files at once. A role's files cost one round trip, not one each.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      dest: {description: Path on the node., type: path, required: true}
      content: {description: "What it holds; a file that shall be there needs this or C(copy_of), and may be empty.",
                type: str}
      copy_of: {description: A file on the node that it is a copy of, instead of C(content)., type: path}
      state: {description: Whether it exists., type: str, choices: [present, absent], default: present}
      mode: {description: Octal mode., type: str, default: "0644"}
      owner: {description: User., type: str, default: root}
      group: {description: Group., type: str, default: root}
      fingerprint: {description: "The content must be an OpenPGP key with this fingerprint.", type: str}
      secret:
        description: Whether its content is in C(secret_contents), and kept out of the diff.
        type: bool
        default: false
  secret_contents:
    description: Contents of the files marked C(secret), by path.
    type: dict
    default: {}
  trial:
    description: Command that must succeed once the files are written; where it fails they are put back as they were.
    type: list
    elements: str
    default: []
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
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
    ARGUMENT_SPEC,
    SECRETS_SPEC,
    apply_all,
    planned,
    undo_all,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": ARGUMENT_SPEC,
            "secret_contents": SECRETS_SPEC,
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
