#!/usr/bin/python
"""Ansible module: the checklist's lines about the pooler, answered by the running pooler."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_pooler
short_description: The checklist's lines about the pooler
description:
  - Asks the running pooler's console, and logs in as every declared role over the pooled URL. Changes nothing.
options:
  passwords: {description: "Of the roles that log in, by the name of the secret.", type: dict, required: true}
  host: {description: Address to log in to., type: str, required: true}
  port: {description: Port of the pooler., type: int, default: 6432}
  server_port: {description: Port of the server., type: int, default: 5432}
  server_socket: {description: Directory of its socket., type: path, default: /var/run/postgresql}
  settings: {description: "Declared settings of the section [pgbouncer].", type: dict, required: true}
  auth_file_users: {description: Roles that the auth file should hold., type: list, elements: str, required: true}
  drift: {description: "What a deploy would change, by title: lists of texts.", type: dict, required: true}
extends_documentation_fragment:
  - pgstead.platform.declaration.model
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Ask the pooler
  pgstead.platform.verify_pooler:
    model: "{{ databases | pgstead.platform.model([]) }}"
    passwords: {shop_app: "{{ secrets.shop_app }}"}
    host: 127.0.0.1
    settings: {listen_port: 6432, pool_mode: transaction}
    auth_file_users: [pgbouncer_stats]
    drift: {has configuration files as declared: []}
  register: pgbouncer_checklist
"""

RETURN = r"""
lines: {description: "The lines: area, title, ok, found, fix.", type: list, elements: dict, returned: always}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import login, pg
from ansible_collections.pgstead.platform.plugins.module_utils.login import Endpoint, Line
from ansible_collections.pgstead.platform.plugins.module_utils.pooler import (
    Pooler,
    backend_demand,
    differing,
    server_state,
)


def pooler_lines(pooler: Pooler, module: AnsibleModule) -> list[Line]:
    parameters = module.params
    config = pooler.config()
    other = [
        f"{name} = {config.get(name, {}).get('value', '(unknown)')}"
        for name in differing(parameters["settings"], config)
    ]
    lines = [
        Line("pooler", "runs the declared settings", not other, ", ".join(other) or pooler.version(), "pgstead deploy"),
        Line(
            "pooler",
            "demands TLS",
            config["client_tls_sslmode"]["value"] in ("require", "verify-ca", "verify-full"),
            f"client_tls_sslmode = {config['client_tls_sslmode']['value']}",
            "remove it from pgbouncer_settings",
        ),
    ]
    served = {row["name"]: row for row in pooler.ask("SHOW DATABASES")}
    for database in parameters["model"]["databases"]:
        row, pool = served.get(database["name"]), database["pool"]
        area = f"database {database['name']}"
        if not any(
            "pooled" in role["endpoints"] and role["database"] in ("", database["name"])
            for role in parameters["model"]["roles"]
        ):
            continue
        if row is None:
            lines.append(
                Line(area, "is served by the pooler", False, "SHOW DATABASES does not list it", "pgstead deploy")
            )
            continue
        mode = row["pool_mode"] or config["pool_mode"]["value"]
        lines.append(
            Line(area, f"is pooled in {pool['mode']} mode", mode == pool["mode"], f"pool_mode {mode}", "pgstead deploy")
        )
        # The column for the reserve changed its name in 1.24.
        reserve = row["reserve_pool_size" if "reserve_pool_size" in row else "reserve_pool"]
        sizes = (int(row["pool_size"]), int(reserve), int(row["max_connections"]))
        wanted = (pool["size"], pool["reserve"], pool["size"] + pool["reserve"])
        lines.append(
            Line(
                area,
                f"has a pool of {pool['size']} + {pool['reserve']} server connections",
                sizes == wanted,
                f"pool_size {sizes[0]}, reserve {sizes[1]}, at most {sizes[2]}",
                "pgstead deploy",
            )
        )
        if row["paused"] or row["disabled"]:
            lines.append(
                Line(area, "is neither paused nor disabled", False, "paused or disabled", "RESUME in the console")
            )
    # Only an auth file's users stay known without a new lookup; a reload does not forget those it lost.
    if "auth_query" not in parameters["settings"]:
        strangers = sorted(
            {row["name"] for row in pooler.ask("SHOW USERS")} - {*parameters["auth_file_users"], "pgbouncer"}
        )
        lines.append(
            Line(
                "pooler",
                "knows no role that is not declared",
                not strangers,
                ", ".join(strangers) or "none",
                "systemctl restart pgbouncer",
            )
        )
    return lines


def room_line(declared: dict[str, Any], port: int, socket: str) -> list[Line]:
    """That the running server admits what the pools may open; a raised max_connections waits for its restart."""
    wanted, server = backend_demand(declared), server_state(port, socket)
    if not server:  # that it does not answer is said by its own lines
        return []
    return [
        Line(
            "pooler",
            "finds room for all its pools in the server",
            wanted <= server["connections"],
            f"the pools may open {wanted} connections, the server admits {server['connections']}",
            "pgstead deploy --restart; or smaller pools",
        )
    ]


def plaintext_line(endpoint: Endpoint, declared: dict[str, Any], passwords: dict[str, str]) -> list[Line]:
    """That a login without TLS is refused."""
    for role in declared["roles"]:
        if "pooled" in role["endpoints"] and role["database"]:
            try:
                login.login(
                    endpoint, role["database"], role["name"], passwords[role["secret"]], sslmode="disable"
                ).close()
            except pg.Error as problem:
                refused, answer = login.is_refusal(problem), login.short(problem)
                return [Line("pooler", "refuses logins without TLS", refused, answer, "pgstead deploy")]
            return [
                Line(
                    "pooler",
                    "refuses logins without TLS",
                    False,
                    "logged in",
                    "remove client_tls_sslmode from pgbouncer_settings",
                )
            ]
    return []


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "model": {"type": "dict", "required": True},
            "passwords": {"type": "dict", "required": True, "no_log": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 6432},
            "server_port": {"type": "int", "default": 5432},
            "server_socket": {"type": "path", "default": pg.SOCKET},
            "settings": {"type": "dict", "required": True},
            "auth_file_users": {"type": "list", "elements": "str", "required": True},
            "drift": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    pooler = Pooler()
    try:
        lines = pooler_lines(pooler, module)
    except pg.Error as problem:
        lines = [Line("pooler", "answers", False, login.short(problem), "systemctl status pgbouncer; pgstead deploy")]
        module.exit_json(changed=False, lines=login.as_dicts(lines))
    for title, found in parameters["drift"].items():
        lines.append(
            Line(
                "pooler",
                title,
                not found,
                "; ".join(found) or "no difference",
                "pgstead deploy --check --diff shows it",
            )
        )
    lines += room_line(parameters["model"], parameters["server_port"], parameters["server_socket"])
    endpoint = Endpoint("pooled", parameters["host"], parameters["port"])
    lines += plaintext_line(endpoint, parameters["model"], parameters["passwords"])
    lines += login.check_logins(parameters["model"], endpoint, parameters["passwords"])
    module.exit_json(changed=False, lines=login.as_dicts(lines))


if __name__ == "__main__":
    main()
