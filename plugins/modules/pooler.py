#!/usr/bin/python
"""Ansible module: PgBouncer with its configuration files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pooler
short_description: PgBouncer with its configuration files
description:
  - Writes the files, then reloads the pooler, or restarts it where a changed setting asks for that, and compares
    what C(SHOW CONFIG) says with what was declared.
  - What the pooler has loaded is written down at the end, so that a run that was broken off is made up for.
  - Files that PgBouncer rejects never stay; the last good ones come back and the module fails with its own message.
  - Clients that are logged in with a role that may no longer use the pooler are disconnected.
options:
  settings: {description: "Settings of the section [pgbouncer], as they are in the file.", type: dict, required: true}
  file_limit: {description: Descriptors that clients and server connections need., type: int, required: true}
  server_port:
    description: >-
      Port of the server. Where settings of roles or databases changed there since the pooler opened its server
      connections, these are replaced as they become free; a setting applies at login alone.
    type: int
    default: 5432
  server_socket: {description: Directory of its socket., type: path, default: /var/run/postgresql}
extends_documentation_fragment:
  - pgstead.platform.files
  - pgstead.platform.declaration.model
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: PgBouncer with its files
  pgstead.platform.pooler:
    settings: {listen_port: 6432, pool_mode: transaction}
    model: "{{ databases | pgstead.platform.model([]) }}"
    file_limit: 1200
    files:
      - src: etc/pgbouncer/pgbouncer.ini.j2
        group: pgbouncer
        mode: "0640"
"""

RETURN = r"""
changed_files: {description: Files that differed., type: list, elements: str, returned: always}
outdated:
  description: What the running pooler has not taken over though the files may say it.
  type: list
  elements: str
  returned: always
strangers:
  description: Clients with a role that is not declared, as role@database; they are disconnected.
  type: list
  elements: str
  returned: always
reconnected: {description: Whether server connections are being replaced., type: bool, returned: always}
restarted: {description: Whether the pooler was started or restarted., type: bool, returned: always}
"""

import hashlib
import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import pg
from ansible_collections.pgstead.platform.plugins.module_utils.files import (
    SPEC,
    Change,
    apply_all,
    planned,
    undo_all,
)
from ansible_collections.pgstead.platform.plugins.module_utils.pooler import (
    Pooler,
    RejectedError,
    backend_demand,
    differing,
    ini_names,
    left_over,
    remember,
    remembered,
    server_state,
    userlist,
)

_ALWAYS = "server_reset_query_always"


class Deploy:
    """One run: what is found, what has to be done, and doing it.

    Args:
        parameters: of the module.
        changes: the files that differ.
    """

    def __init__(self, parameters: dict[str, Any], changes: list[Change]) -> None:
        self.settings: dict[str, Any] = parameters["settings"]
        self.changes = changes
        secrets = parameters["secret_contents"]
        self.files = digest({file["dest"]: secrets.get(file["dest"], file["content"]) for file in parameters["files"]})
        auth_file = secrets.get(self.settings["auth_file"], "")
        self.users = sorted(userlist(auth_file))
        ini = next((file["content"] for file in parameters["files"] if file["dest"].endswith("/pgbouncer.ini")), "")
        self.limited = sorted(ini_names(ini, "users"))
        self.model: dict[str, Any] = parameters["model"]
        self.known = remembered()
        self.server = server_state(parameters["server_port"], parameters["server_socket"])
        self.pooler = Pooler()
        self.restarted = False
        # Whether these files are others than those that the last complete run left the pooler with.
        self.is_new = bool(changes) or self.known.get("files") != self.files
        self.unfit = self.pooler.unfit(parameters["file_limit"] if self.is_new else 0)
        self.outdated: list[str] = []
        self.strangers: list[dict[str, Any]] = []
        try:
            if not self.unfit:
                self.outdated = differing(self.settings, self.pooler.config())
                self.strangers = self.pooler.strangers(self.model)
        except pg.Error as problem:
            self.unfit = f"does not answer: {problem}"
        if self.unfit:
            self.outdated.append(self.unfit)
        if not self.pooler.starts_at_boot:
            self.outdated.append("not started at boot")
        if self.is_new and not (self.changes or self.outdated):
            self.outdated.append("not known to have loaded its files")
        # Whether server connections may be open that know other settings of their role than it has now, or have
        # prepared the call that sets a tenant with another argument, or hold what a weaker reset left.
        told = {db["name"]: (db["tenancy"] or {}).get("token", "") for db in self.model["databases"]}
        self.tokens = digest([told, self.settings.get("server_reset_query"), self.settings.get(_ALWAYS)])
        fits = self.known.get("logins") == self.server.get("logins") and self.known.get("tokens") == self.tokens
        self.is_stale = not self.unfit and bool(self.server) and not fits

    @property
    def needed(self) -> bool:
        return bool(self.changes or self.outdated or self.strangers or self.is_stale)

    def run(self) -> None:
        """Does what is needed.

        Raises:
            RejectedError: PgBouncer does not accept it; the text is its own.
            pg.Error: it does not answer.
        """
        apply_all(self.changes)
        if self.is_new or not self.pooler.starts_at_boot:
            self.pooler.adopt_unit()
        if self.unfit:
            self._restart()
        elif self.is_new or self.outdated:
            self._load()
        if left := differing(self.settings, self.pooler.config()):
            raise RejectedError(f"it does not take over: {', '.join(left)}")
        if not self.restarted:
            # Once more: only now has the new hba file closed the door to those it no longer names.
            self.strangers = self.pooler.strangers(self.model)
            self.pooler.disconnect(self.strangers)
            if self.is_stale:
                self.pooler.reconnect([database["name"] for database in self.model["databases"]])
        logins = self.server.get("logins", self.known.get("logins"))
        known = {"files": self.files, "users": self.users, "limited": self.limited}
        remember(known | {"logins": logins, "tokens": self.tokens})

    def _load(self) -> None:
        """Reloads, or restarts where a reload does not suffice."""
        config = self.pooler.config()
        others = [*differing(self.settings, config), *(row["key"] for row in left_over(self.settings, config))]
        if any(config.get(name, {}).get("changeable") == "no" for name in others) or self._must_forget():
            self._restart()
            return
        self.pooler.reload(self.settings)
        if left_over(self.settings, self.pooler.config()):
            self._restart()

    def _must_forget(self) -> bool:
        """Whether a user left the auth file or lost all limits; a reload keeps both as they were (seen with 1.26.1)."""
        gone = {*self.known.get("users", [])} - {*self.users}
        return bool(gone or {*self.known.get("limited", [])} - {*self.limited})

    def _restart(self) -> None:
        self.restarted = True
        self.pooler.restart()

    def put_back(self) -> str:
        """Restores the files, and the pooler to what it was; "" or what went wrong with that too."""
        try:
            undo_all(self.changes)
            self.pooler.adopt_unit()
            if self.unfit == "not running":
                self.pooler.stop()
            elif self.restarted or not self.pooler.running:
                self.pooler.restart()
            else:
                before = next((c.before for c in self.changes if c.path.name == "pgbouncer.ini"), None)
                self.pooler.reload(self.settings if before is None else ini_names(before.decode()))
        except (RejectedError, pg.Error, OSError) as problem:
            return f"With the last good files it does not work either: {problem}"
        return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "model": {"type": "dict", "required": True},
            "file_limit": {"type": "int", "required": True},
            "server_port": {"type": "int", "default": 5432},
            "server_socket": {"type": "path", "default": pg.SOCKET},
            **SPEC,
        },
        supports_check_mode=True,
    )
    try:
        deploy = Deploy(module.params, planned(module.params, is_fresh=module.check_mode))
    except (OSError, ValueError) as problem:
        module.fail_json(msg=str(problem))
    changed = deploy.needed
    changed_files = [str(change.path) for change in deploy.changes]
    if changed and not module.check_mode:
        try:
            deploy.run()
        except (RejectedError, pg.Error) as problem:
            said = [str(problem).strip(), deploy.put_back()]
            module.fail_json(
                msg="PgBouncer rejects its configuration; the last good files are back. It says:\n"
                + "\n".join(filter(None, said)),
                rejected=changed_files,
            )
        except (OSError, ValueError) as problem:
            module.fail_json(msg=str(problem))
        if deploy.pooler.file_limit < module.params["file_limit"]:
            module.warn(
                f"The system lets PgBouncer open {deploy.pooler.file_limit} files; with all clients and pools it needs"
                f" {module.params['file_limit']}."
            )
    wanted = backend_demand(module.params["model"])
    if deploy.server and wanted > deploy.server["connections"]:
        module.warn(
            f"The pools may open {wanted} connections, but the running server admits {deploy.server['connections']}:"
            " a raised max_connections waits for its restart."
        )
    module.exit_json(
        changed=changed,
        changed_files=changed_files,
        diff=[change.diff for change in deploy.changes],
        outdated=deploy.outdated,
        strangers=sorted({f"{client['user']}@{client['database']}" for client in deploy.strangers}),
        restarted=deploy.restarted,
        reconnected=deploy.is_stale and not deploy.restarted,
    )


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    main()
