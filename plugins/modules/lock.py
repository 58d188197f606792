#!/usr/bin/python
"""Ansible module: one deploy at a time on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lock
short_description: One deploy at a time on a node
description:
  - Takes or releases a lock on the node. A second deploy says who holds it and stops.
  - The lock of a run that was killed is taken over when that run's process is gone from the same control node, or
    when it is older than C(expires_after). A reboot of the node clears it.
  - Runs through an action plugin of the same name, which knows the control node's processes.
options:
  state: {description: Take or release it., type: str, choices: [taken, released], required: true}
  force: {description: Take it from whoever holds it., type: bool, default: false}
  expires_after: {description: Seconds after which a lock no longer counts., type: int, default: 7200}
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Take the node's deploy lock
  pgstead.platform.lock:
    state: taken

- name: Release it
  pgstead.platform.lock:
    state: released
"""

RETURN = r"""
holder: {description: Who holds the lock instead., type: dict, returned: when it could not be taken}
"""

import fcntl
import json
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

LOCK = Path("/run/pgstead-deploy.json")
GUARD = Path("/run/pgstead-deploy.guard")  # makes reading and writing the lock one step


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["taken", "released"], "required": True},
            "force": {"type": "bool", "default": False},
            "expires_after": {"type": "int", "default": 7200},
            # Set by the action plugin:
            "owner": {"type": "dict", "required": True},
            "replace": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    parameters, owner = module.params, module.params["owner"]
    with GUARD.open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            holder = json.loads(LOCK.read_text())
        except (FileNotFoundError, ValueError):
            holder = None
        if holder and holder["since"] + parameters["expires_after"] < time.time():
            holder = None
        mine = bool(holder) and holder["id"] == owner["id"]
        if parameters["state"] == "released":
            if mine and not module.check_mode:
                LOCK.unlink()
            module.exit_json(changed=False)
        if holder and not mine and not parameters["force"] and holder["id"] != parameters["replace"]:
            module.exit_json(changed=False, holder=holder)
        if not module.check_mode:
            LOCK.write_text(json.dumps(owner | {"since": time.time()}))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
