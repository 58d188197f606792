"""Options of the modules that write files."""

from __future__ import annotations


class ModuleDocFragment:
    """See files.SPEC."""

    DOCUMENTATION = r"""
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      src:
        description: >-
          A template by its path in the C(templates/) of the role, as C(etc/example/example.conf.j2). It is rendered on
          the control node. One of the user's own of this path is taken in its place, from C(templates), or from
          C(templates/<role>/) beside the playbook, in the inventory's directory, or in the workspace that has the
          inventory in C(inventories/).
        type: str
      dest: {description: "Path on the node; where it is not said, that of C(src) without C(.j2).", type: path}
      content: {description: "What it holds, instead of C(src); it may be empty.", type: str}
      copy_of: {description: A file on the node that it is a copy of, instead of C(src)., type: path}
      state: {description: Whether it exists., type: str, choices: [present, absent], default: present}
      mode: {description: Octal mode., type: str, default: "0644"}
      owner: {description: User., type: str, default: root}
      group: {description: Group., type: str, default: root}
      fingerprint: {description: "The content must be an OpenPGP key with this fingerprint.", type: str}
      secret:
        description: Whether its content is kept out of the diff, of logs and of output.
        type: bool
        default: false
  templates:
    description: Directory of the user's own on the control node, whose templates win over those of the role.
    type: str
    default: ""
  secret_contents:
    description: Made of C(files) on the control node, no input. The contents of those marked C(secret), by path.
    type: dict
    default: {}
"""
