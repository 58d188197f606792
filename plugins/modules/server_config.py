#!/usr/bin/python
"""Ansible module: the configuration of an instance, and its server that runs with it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_config
short_description: The configuration files of an instance, and its server that runs with them
description:
  - Writes the files, lets PostgreSQL itself judge them, then starts the server, reloads it, or restarts it where a
    setting needs that and C(restart) allows it.
  - Files that PostgreSQL rejects never stay; the last good ones come back and the module fails with the server's
    own message. Before changed files count, a scratch instance has been started with them, so that a library or
    certificate that is missing shows now and not at the next restart.
  - C(pgstead.platform.instance) makes the instance.
options:
  version: {description: Major version., type: int, required: true}
  name: {description: "Name of the instance, as in C(/etc/postgresql/16/main).", type: str, default: main}
  port: {description: TCP port., type: int, default: 5432}
  restart:
    description: Whether changes that need it may restart a running server; else they are returned as pending.
    type: bool
    default: false
  control: {description: Who starts and stops the server., type: str, choices: [systemd], default: systemd}
extends_documentation_fragment:
  - pgstead.platform.files
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: The server of 16/main with a file of settings
  pgstead.platform.server_config:
    version: 16
    files:
      - dest: /etc/postgresql/16/main/conf.d/10-example.conf
        content: "work_mem = 8MB\n"
        owner: postgres
        group: postgres
"""

RETURN = r"""
changed_files: {description: Files that differed., type: list, elements: str, returned: always}
restarted: {description: Whether the server was started or restarted., type: bool, returned: always}
pending_restart:
  description: Settings that wait for a restart.
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import pg
from ansible_collections.pgstead.platform.plugins.module_utils.files import SPEC, planned
from ansible_collections.pgstead.platform.plugins.module_utils.postgresql.instance import Place
from ansible_collections.pgstead.platform.plugins.module_utils.postgresql.server_config import (
    CONTROLS,
    RejectedError,
    Server,
    port_refusal,
    put_back,
    take_over,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "int", "required": True},
            "name": {"type": "str", "default": "main"},
            "port": {"type": "int", "default": 5432},
            "restart": {"type": "bool", "default": False},
            "control": {"type": "str", "choices": [*CONTROLS], "default": "systemd"},
            **SPEC,
        },
        supports_check_mode=True,
    )
    parameters = module.params
    place = Place(parameters["version"], parameters["name"])
    if not place.exists and not module.check_mode:
        module.fail_json(msg=f"there is no instance {place.version}/{place.name}; pgstead.platform.instance makes it")
    server = Server(place, parameters["port"], parameters["control"])
    running = place.exists and server.control.running
    # In check mode it may be a server that pgstead did not make, on a node without psycopg2.
    can_ask = running and not (module.check_mode and not pg.is_installed())
    changes = []
    try:
        changes = planned(parameters, is_fresh=module.check_mode)
        if running and (refusal := port_refusal(server.port_in_use, server.port, parameters["restart"])):
            module.fail_json(msg=refusal)
        unread = server.unread([file["dest"] for file in parameters["files"]]) if can_ask else []
        result: dict[str, Any] = {
            "changed": bool(changes or unread) or not running,
            "changed_files": [str(change.path) for change in changes],
            "diff": [change.diff for change in changes],
        }
        if unread:
            result["diff"].append({"before": "", "after": f"read by the server: {', '.join(unread)}\n"})
        if not module.check_mode:
            pending = take_over(server, changes, not unread, running, parameters["restart"])
            result["changed"] = result["changed"] or server.started
        else:
            pending = server.pending() if can_ask else []
    except (RejectedError, pg.Error) as problem:
        written = [] if module.check_mode else changes
        module.fail_json(msg=put_back(server, written, running, str(problem).strip()))
    except (OSError, ValueError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result, restarted=server.started, pending_restart=pending)


if __name__ == "__main__":
    main()
