"""Options of the modules that write files."""

from __future__ import annotations


class ModuleDocFragment:
    """See files.ARGUMENT_SPEC."""

    DOCUMENTATION = r"""
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
"""
