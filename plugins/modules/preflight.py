"""Documentation of the action plugin of the same name, which runs pgstead.platform.probe on the node."""

DOCUMENTATION = r"""
module: preflight
short_description: Checks the whole declaration and the host against each other
description:
  - Reports every problem at once, each with the variable's path, what was found and what to write instead.
  - What may stand in the declaration is what the roles that are found say in meta/argument_specs.yml and meta/room.yml,
    roles of the user's own repository among them.
  - Changes nothing.
author: The pgstead authors
"""

EXAMPLES = r"""
- name: Check the declaration and the node
  pgstead.platform.preflight:
"""

RETURN = r"""
problems: {description: "The problems: path, found, expected.", type: list, elements: dict, returned: always}
"""
