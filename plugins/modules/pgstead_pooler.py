#!/usr/bin/python
"""Ansible module: the node's PgBouncer with its configuration files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgstead_pooler
short_description: PgBouncer with its configuration files
description:
  - Writes the files, then reloads the pooler, or restarts it where a changed setting asks for that, and compares
    what C(SHOW CONFIG) says with what was declared.
  - Files that PgBouncer rejects never stay; the last good ones come back and the module fails with its own message.
options:
  port: {description: TCP port and name of the socket., type: int, default: 6432}
  socket: {description: Socket directory., type: path, default: /run/pgbouncer}
  settings: {description: "Settings of the section [pgbouncer], as they are in the file.", type: dict, required: true}
  server_port:
    description: >-
      Port of the server. Where settings of roles or databases changed there since the pooler opened its server
      connections, these are replaced as they become free; a setting applies at login alone.
    type: int
    default: 5432
  files: {description: "As in M(pgstead_files).", type: list, elements: dict, required: true}
  secret_contents: {description: "As in M(pgstead_files).", type: dict, default: {}}
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

RETURN = r"""
changed_files: {description: Files that differed., type: list, elements: str, returned: always}
reconnected: {description: Whether server connections are being replaced., type: bool, returned: always}
restarted: {description: Whether the pooler was started or restarted., type: bool, returned: always}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pgstead_platform import pg
from ansible.module_utils.pgstead_platform.files import (
    ARGUMENT_SPEC,
    SECRETS_SPEC,
    Change,
    apply_all,
    planned,
    undo_all,
)
from ansible.module_utils.pgstead_platform.pooler import Pooler, RejectedError, differing, userlist


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "port": {"type": "int", "default": 6432},
            "socket": {"type": "path", "default": "/run/pgbouncer"},
            "settings": {"type": "dict", "required": True},
            "server_port": {"type": "int", "default": 5432},
            "files": ARGUMENT_SPEC,
            "secret_contents": SECRETS_SPEC,
        },
        supports_check_mode=True,
    )
    settings = module.params["settings"]
    pooler = Pooler(module.params["port"], module.params["socket"])
    try:
        changes = planned(module.params, is_fresh=module.check_mode)
    except ValueError as problem:
        module.fail_json(msg=str(problem))
    unit_changed = any(str(change.path).startswith("/etc/systemd/") for change in changes)
    running = pooler.running and not unit_changed
    result: dict[str, Any] = {
        "changed": bool(changes) or not running,
        "restarted": False,
        "reconnected": False,
        "changed_files": [str(change.path) for change in changes],
        "diff": [change.diff for change in changes],
    }
    state = settings_state(module.params["server_port"])
    stale = running and bool(state) and known_state(pooler) != state
    result["changed"] = result["changed"] or stale
    if module.check_mode:
        module.exit_json(**result)
    try:
        apply_all(changes)
        if not running:
            pooler.restart()
            result["restarted"] = True
        elif changes:
            before = pooler.config()
            fixed = [name for name in differing(settings, before) if before.get(name, {}).get("changeable") == "no"]
            if fixed or must_forget(changes, pooler, settings):
                pooler.restart()
                result["restarted"] = True
            else:
                pooler.reload()
                if not_forgotten(changes, pooler.config()):
                    pooler.restart()
                    result["restarted"] = True
        if left := differing(settings, pooler.config()):
            raise RejectedError(f"it does not take over: {', '.join(left)}")
        if stale and not result["restarted"]:
            pooler.ask("RECONNECT")
            result["reconnected"] = True
        state_file(pooler).write_text(state)
    except (RejectedError, pg.Error) as problem:
        put_back(pooler, changes, running)
        module.fail_json(
            msg=f"PgBouncer rejects its configuration; the last good files are back. It says:\n{problem}",
            rejected=[str(change.path) for change in changes],
        )
    except (OSError, ValueError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def state_file(pooler: Pooler) -> Path:
    """Where the settings that server connections were opened with are remembered; systemd clears it with them."""
    return Path(pooler.socket) / "role-settings"


def known_state(pooler: Pooler) -> str:
    try:
        return state_file(pooler).read_text()
    except FileNotFoundError:
        return ""


def settings_state(port: int) -> str:
    """A fingerprint of every setting that applies at login, "" where the server does not answer."""
    query = (
        "SELECT coalesce(md5(string_agg(s::text, ',' ORDER BY s::text)), 'none') AS state FROM pg_db_role_setting AS s"
    )
    try:
        with pg.connect("postgres", port) as connection:
            return str(pg.rows(connection, query)[0]["state"])
    except (pg.Error, AttributeError, KeyError):  # not installed yet: check mode on a fresh host
        return ""


def not_forgotten(changes: list[Change], config: dict[str, dict[str, Any]]) -> list[str]:
    """Settings that left the file but kept their value: a reload does not reset them (seen with 1.18)."""
    return [
        name
        for change in changes
        if change.path.name == "pgbouncer.ini"
        for name in ini_names(change.before) - ini_names(change.after)
        if name in config and config[name]["value"] != config[name].get("default", config[name]["value"])
    ]


def ini_names(content: bytes | None) -> set[str]:
    """Names set in the section [pgbouncer]."""
    section = (content or b"").decode().partition("\n[pgbouncer]")[2].partition("\n[")[0]
    return {line.partition("=")[0].strip() for line in section.splitlines() if "=" in line and line[0] not in ";#"}


def must_forget(changes: list[Change], pooler: Pooler, settings: dict[str, Any]) -> bool:
    """Whether the auth file changed in a way that only a restart applies (each seen with 1.26.1).

    A user that left the file can still log in after a reload. A user whose verifier changed, or that came into the
    file while the pooler knew it from a lookup, is logged in to the server with the keys of the old verifier, and
    refused. The statistics role never is logged in to the server.
    """
    for change in changes:
        if change.path.name != "userlist.txt":
            continue
        before, after = (userlist((content or b"").decode()) for content in (change.before, change.after))
        stats = set(str(settings.get("stats_users", "")).replace(" ", "").split(","))
        known = {row["name"] for row in pooler.ask("SHOW USERS")}
        changed = {name for name in after if before.get(name) != after[name] and name in before.keys() | known}
        return bool(before.keys() - after.keys() or changed - stats)
    return False


def put_back(pooler: Pooler, changes: list[Change], was_running: bool) -> None:
    """Restores the files; a pooler that ran before runs again with them."""
    undo_all(changes)
    if was_running:
        if pooler.running:
            pooler.reload()
        else:
            pooler.restart()


if __name__ == "__main__":
    main()
