#!/usr/bin/python
"""Ansible module: one PostgreSQL instance with its configuration files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgstead_instance
short_description: One PostgreSQL instance of postgresql-common, with its configuration files
description:
  - Creates the instance where it is missing, writes its configuration files, lets PostgreSQL itself judge them,
    and reloads or, where allowed, restarts it.
  - Files that PostgreSQL rejects never stay; the last good ones come back and the module fails with the server's
    own message.
options:
  version: {description: Major version., type: int, required: true}
  name: {description: "Name of the instance, as in C(/etc/postgresql/16/main).", type: str, default: main}
  port: {description: TCP port., type: int, default: 5432}
  locale: {description: Locale at creation., type: str, default: C.UTF-8}
  restart:
    description: Whether changes that need it may restart a running server; else they are returned as pending.
    type: bool
    default: false
  files: {description: "As in M(pgstead_files).", type: list, elements: dict, required: true}
  secret_contents: {description: "As in M(pgstead_files).", type: dict, default: {}}
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

RETURN = r"""
created: {description: Whether the instance was created., type: bool, returned: always}
changed_files: {description: Files that differed., type: list, elements: str, returned: always}
restarted: {description: Whether the server was started or restarted., type: bool, returned: always}
pending_restart:
  description: Settings that wait for a restart.
  type: list
  elements: str
  returned: always
"""

import subprocess
import time
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

START_DEADLINE = 120  # seconds until a started server must accept connections
# pg_file_settings says "could not be applied" of every setting that needs a restart, and of every invalid one;
# but invalid ones never get that far, because `postgres -C` has read the files before. A setting that was taken
# out of the files and needs a restart is a row with nothing but its own error text.
FILE_ERRORS = """
SELECT f.sourcefile, f.sourceline, coalesce(f.name, substring(f.error FROM '"([^"]+)"')) AS name, f.error,
       coalesce(s.context = 'postmaster', f.error LIKE '%% without restarting the server') AS waits
FROM pg_catalog.pg_file_settings AS f
LEFT JOIN pg_catalog.pg_settings AS s ON s.name = lower(f.name)
WHERE f.error IS NOT NULL
"""


class RejectedError(Exception):
    """PostgreSQL refuses a file; the text is its own."""


class Instance:
    """One instance of postgresql-common.

    Args:
        module: for its parameters.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.version: int = module.params["version"]
        self.name: str = module.params["name"]
        self.port: int = module.params["port"]
        self.config = Path(f"/etc/postgresql/{self.version}/{self.name}")
        self.data = Path(f"/var/lib/postgresql/{self.version}/{self.name}")
        self.unit = f"postgresql@{self.version}-{self.name}.service"
        self.log = Path(f"/var/log/postgresql/postgresql-{self.version}-{self.name}.log")
        # Stands from before initdb until the instance is complete: a data directory beside it is our
        # own unfinished work and holds nothing; without it a data directory is never touched.
        self.creating = Path(f"/var/lib/postgresql/.pgstead-creating-{self.version}-{self.name}")

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    @property
    def exists(self) -> bool:
        return (self.config / "postgresql.conf").exists() and not self.creating.exists()

    def create(self) -> None:
        """pg_createcluster with data checksums and UTF-8; a creation that was interrupted starts over."""
        if self.creating.exists():
            self.run("pg_dropcluster", "--stop", str(self.version), self.name)
            self.run("rm", "-rf", str(self.data), str(self.config))
        elif self.data.exists() and any(self.data.iterdir()):
            self.module.fail_json(
                msg=f"{self.data} holds data, but {self.config} is missing: pgstead does not touch it. "
                "Move it away, or restore the instance's configuration."
            )
        self.creating.touch()
        done = self.run(
            "pg_createcluster",
            str(self.version),
            self.name,
            "--port",
            str(self.port),
            "--encoding",
            "UTF8",
            "--locale",
            self.module.params["locale"],
            "--",
            "--data-checksums",
        )
        if done.returncode:
            self.module.fail_json(msg=f"pg_createcluster failed: {done.stderr.strip() or done.stdout.strip()}")
        self.creating.unlink()

    @property
    def running(self) -> bool:
        return self.run("systemctl", "is-active", "--quiet", self.unit).returncode == 0

    def judge(self) -> None:
        """Lets PostgreSQL read the files as they now are.

        Raises:
            RejectedError: it would not start with them, or would ignore a line of them.
        """
        binary = f"/usr/lib/postgresql/{self.version}/bin/postgres"
        done = self.run(
            "runuser",
            "-u",
            pg.OS_USER,
            "--",
            binary,
            "-C",
            "data_directory",
            "-c",
            f"config_file={self.config}/postgresql.conf",
        )
        if done.returncode:
            raise RejectedError(done.stderr.strip())
        if not self.running:
            return
        with pg.connect("postgres", self.port_in_use()) as connection:
            problems = [
                f"{row['sourcefile']}:{row['sourceline']}: {row['name']}: {row['error']}"
                for row in pg.rows(connection, FILE_ERRORS)
                if not row["waits"]
            ]
            problems += [
                f"{self.config}/pg_hba.conf:{row['line_number']}: {row['error']}"
                for row in pg.rows(connection, "SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL")
            ]
        if problems:
            raise RejectedError("\n".join(problems))

    def port_in_use(self) -> int:
        """Port of the running server: a changed one is pending until it restarts."""
        for line in self.run("pg_lsclusters", "-h").stdout.splitlines():
            fields = line.split()
            if fields[:2] == [str(self.version), self.name]:
                pidfile = Path(fields[5]) / "postmaster.pid"
                return int(pidfile.read_text().splitlines()[3])
        return self.port

    def pending(self) -> list[str]:
        """Settings whose declared value waits for a restart."""
        with pg.connect("postgres", self.port_in_use()) as connection:
            in_files = {row["name"] for row in pg.rows(connection, FILE_ERRORS) if row["waits"]}
            found = pg.rows(connection, "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart")
        return sorted(in_files | {row["name"] for row in found})

    def reload(self) -> None:
        """Reloads, and returns when the server has read the files."""
        with pg.connect("postgres", self.port_in_use()) as connection:
            connection.autocommit = True
            before = pg.rows(connection, "SELECT pg_conf_load_time() AS at, pg_reload_conf()")[0]["at"]
            deadline = time.monotonic() + 10
            while pg.rows(connection, "SELECT pg_conf_load_time() AS at")[0]["at"] == before:
                if time.monotonic() > deadline:
                    raise RejectedError("the server did not reload its configuration within 10 s")
                time.sleep(0.05)

    def start(self) -> None:
        """Starts or restarts the server.

        Raises:
            RejectedError: it does not come up; the text is what it logged.
        """
        offset = self.log.stat().st_size if self.log.exists() else 0
        done = self.run("systemctl", "restart", self.unit)
        deadline = time.monotonic() + START_DEADLINE
        while done.returncode == 0:
            try:
                pg.connect("postgres", self.port).close()
                return
            except pg.Error as problem:
                if time.monotonic() > deadline or not self.running:
                    done.stderr = str(problem)
                    break
            time.sleep(0.1)
        logged = ""
        if self.log.exists():
            with self.log.open("rb") as file:
                file.seek(offset)
                lines = file.read().decode(errors="replace").splitlines()
            logged = "\n".join(line for line in lines if any(w in line for w in ("FATAL", "LOG:", "HINT", "CONTEXT")))
        raise RejectedError(logged.strip() or done.stderr.strip())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "int", "required": True},
            "name": {"type": "str", "default": "main"},
            "port": {"type": "int", "default": 5432},
            "locale": {"type": "str", "default": "C.UTF-8"},
            "restart": {"type": "bool", "default": False},
            "files": ARGUMENT_SPEC,
            "secret_contents": SECRETS_SPEC,
        },
        supports_check_mode=True,
    )
    instance = Instance(module)
    created = not instance.exists
    if created and not module.check_mode:
        instance.create()
    try:
        changes = planned(module.params, is_fresh=module.check_mode)
    except ValueError as problem:
        module.fail_json(msg=str(problem))
    running = not created and instance.running
    result: dict[str, Any] = {
        "changed": created or bool(changes) or not running,
        "created": created,
        "restarted": False,
        "changed_files": [str(change.path) for change in changes],
        "pending_restart": [],
        "diff": [change.diff for change in changes],
    }
    if created:
        result["diff"].insert(0, {"before": "", "after": f"instance {instance.version}/{instance.name}\n"})
    if module.check_mode:
        if running:
            result["pending_restart"] = instance.pending()
        module.exit_json(**result)
    try:
        apply_all(changes)
        if changes or not running:
            instance.judge()
        if not running:
            instance.start()
            instance.judge()
            result["restarted"] = True
        elif changes:
            instance.reload()
        pending = instance.pending()
        if pending and module.params["restart"]:
            instance.start()
            result["restarted"] = result["changed"] = True
            pending = instance.pending()
        result["pending_restart"] = pending
    except RejectedError as problem:
        put_back(instance, changes, running)
        module.fail_json(
            msg=f"PostgreSQL rejects its configuration; the last good files are back. It says:\n{problem}",
            rejected=[str(change.path) for change in changes],
        )
    except (OSError, ValueError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def put_back(instance: Instance, changes: list[Change], was_running: bool) -> None:
    """Restores the files; a server that ran before runs again, with what it ran with."""
    undo_all(changes)
    if was_running:
        if instance.running:
            instance.reload()
        else:
            instance.start()
    else:
        instance.run("systemctl", "stop", instance.unit)


if __name__ == "__main__":
    main()
