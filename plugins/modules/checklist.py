"""Documentation of the action plugin of the same name, which runs on the control node alone."""

DOCUMENTATION = r"""
module: checklist
short_description: Shows the checklist of a node, and fails where a line does not hold
description:
  - Runs on the control node alone.
options:
  lines: {description: "Lines of the module C(checks).", type: list, elements: dict, required: true}
  urls: {description: The node's URLs with masked passwords., type: list, elements: dict, default: []}
author: The pgstead authors
"""

EXAMPLES = r"""
- name: Show what the roles' verify tasks found
  pgstead.platform.checklist:
    lines: "{{ __postgresql_checklist.lines + __pgbouncer_checklist.lines }}"
"""

RETURN = r"""
checklist: {description: The lines., type: list, elements: dict, returned: always}
urls: {description: The node's URLs., type: list, elements: dict, returned: always}
"""
