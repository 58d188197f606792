"""Documentation of the action plugin of the same name, which runs on the control node alone."""

DOCUMENTATION = r"""
module: checklist
short_description: Shows the checklist of a node, and fails where a line does not hold
options:
  lines: {description: "Lines of the C(pgstead_verify_...) modules.", type: list, elements: dict, required: true}
  urls: {description: The node's URLs with masked passwords., type: list, elements: dict, default: []}
author: The pgstead authors
"""
