#!/usr/bin/python
"""Ansible module: one PostgreSQL instance with its configuration files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance
short_description: One PostgreSQL instance of postgresql-common, with its configuration files
description:
  - Creates the instance where it is missing, writes its configuration files, lets PostgreSQL itself judge them,
    and reloads or, where allowed, restarts it.
  - Files that PostgreSQL rejects never stay; the last good ones come back and the module fails with the server's
    own message. Before changed files count, a scratch instance has been started with them, so that a library or
    certificate that is missing shows now and not at the next restart.
options:
  version: {description: Major version., type: int, required: true}
  name: {description: "Name of the instance, as in C(/etc/postgresql/16/main).", type: str, default: main}
  port: {description: TCP port., type: int, default: 5432}
  locale: {description: Locale at creation., type: str, default: C.UTF-8}
  restart:
    description: Whether changes that need it may restart a running server; else they are returned as pending.
    type: bool
    default: false
extends_documentation_fragment:
  - pgstead.platform.files
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: The instance 16/main with a file of settings
  pgstead.platform.instance:
    version: 16
    files:
      - dest: /etc/postgresql/16/main/conf.d/10-example.conf
        content: "work_mem = 8MB\n"
        owner: postgres
        group: postgres
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

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import node, pg
from ansible_collections.pgstead.platform.plugins.module_utils.files import (
    SPEC,
    Change,
    apply_all,
    planned,
    undo_all,
)

START_DEADLINE = 120  # seconds until a started server must say something
RECOVERY_DEADLINE = 3600  # seconds for crash recovery, in which it says that it is starting up
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
HBA_ERRORS = """
SELECT 'pg_hba.conf' AS file, line_number, error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL
UNION ALL
SELECT 'pg_ident.conf', line_number, error FROM pg_catalog.pg_ident_file_mappings WHERE error IS NOT NULL
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
        self.binaries = Path(f"/usr/lib/postgresql/{self.version}/bin")
        # Stands from before initdb until the instance is complete: what is beside it is most likely our own
        # unfinished work, and is set aside; without it a data directory is never touched.
        self.creating = Path(f"/var/lib/postgresql/.pgstead-creating-{self.version}-{self.name}")

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"})

    def as_owner(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return self.run("runuser", "-u", pg.OS_USER, "--", *argv)

    @property
    def exists(self) -> bool:
        return (self.config / "postgresql.conf").exists() and not self.creating.exists()

    def create(self) -> None:
        """pg_createcluster with data checksums and UTF-8; a creation that was interrupted starts over."""
        if self.creating.exists() and not (self.data / "postmaster.opts").exists():
            self._set_aside()
        elif self.data.exists() and any(self.data.iterdir()):
            self.module.fail_json(
                msg=f"{self.data} holds data that pgstead did not put there: it is not touched. Move it away; or, if "
                f"it is to be used, see that {self.config} is its configuration and that {self.creating} is gone."
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
            self._set_aside()
            self.module.fail_json(msg=f"pg_createcluster failed: {done.stderr.strip() or done.stdout.strip()}")
        self.creating.unlink()

    def _set_aside(self) -> None:
        """Moves an instance that was never started out of the way: it could be a backup that somebody put there."""
        aside = self.creating.with_name(f".pgstead-unfinished-{self.version}-{self.name}-{time.time():.0f}")
        for name, directory in (("data", self.data), ("config", self.config)):
            if directory.exists():
                aside.mkdir(mode=0o700, exist_ok=True)
                shutil.move(directory, aside / name)
                self.module.warn(f"{directory}, an instance that was never started, was moved to {aside}")
        self.creating.unlink()

    @property
    def running(self) -> bool:
        return self.run("systemctl", "is-active", self.unit).stdout.strip() in ("active", "activating", "reloading")

    def judge(self) -> None:
        """Lets PostgreSQL read the files as they now are.

        Raises:
            RejectedError: it would not start with them, or would ignore a line of them.
        """
        done = self.as_owner(str(self.binaries / "postgres"), "-C", "shared_buffers", "-c", self._config_file)
        if done.returncode:
            raise RejectedError(done.stderr.strip())
        megabytes = int(done.stdout.strip()) * 8192 // 1024**2
        if megabytes > node.memory_mb():
            raise RejectedError(f"shared_buffers is {megabytes} MB, the node has {node.memory_mb()} MB of memory")
        if not self.running:
            return
        with pg.connect("postgres", self.port_in_use()) as connection:
            problems = [
                f"{row['sourcefile']}:{row['sourceline']}: {row['name']}: {row['error']}"
                for row in pg.rows(connection, FILE_ERRORS)
                if not row["waits"]
            ]
        if problems:
            raise RejectedError("\n".join(problems))
        self.judge_hba()
        self._try_out()

    def judge_hba(self) -> None:
        """Lets the running server read pg_hba.conf and pg_ident.conf as they now are.

        Raises:
            RejectedError: it would ignore a file for a line of it.
        """
        with pg.connect("postgres", self.port_in_use()) as connection:
            rows = pg.rows(connection, HBA_ERRORS)
        if rows:
            lines = (f"{self.config}/{row['file']}:{row['line_number']}: {row['error']}" for row in rows)
            raise RejectedError("\n".join(lines))

    @property
    def _config_file(self) -> str:
        return f"config_file={self.config}/postgresql.conf"

    def _try_out(self) -> None:
        """Starts a scratch instance with the files: libraries and certificates are loaded by nothing less."""
        with self._scratch() as folder:
            made = self.as_owner(f"{self.binaries}/initdb", "-D", f"{folder}/data", "--no-sync", "--no-instructions")
            if made.returncode:
                raise RejectedError(f"a scratch instance to try the files with could not be made: {made.stderr}")
            # Nobody can reach it, it archives nothing, and asks for little memory beside the running server.
            apart = {
                "data_directory": f"{folder}/data",
                "external_pid_file": f"{folder}/pid",
                "listen_addresses": "",
                "unix_socket_directories": folder,
                "logging_collector": "off",
                "log_destination": "stderr",
                "archive_mode": "off",
                "shared_buffers": "1MB",
                "huge_pages": "off",
            }
            options = " ".join(f"-c {name}={value}" for name, value in apart.items())
            options = f"-c {self._config_file} {options}"
            control = (f"{self.binaries}/pg_ctl", "-D", f"{folder}/data", "-s")
            log = Path(folder) / "log"
            started = self.as_owner(
                *control, "-l", str(log), "-o", f"-c {self._config_file} {options}", "-t", "60", "start"
            )
            logged = log.read_text(errors="replace") if log.exists() else ""
            if started.returncode:
                raise RejectedError(telling(logged) or started.stderr.strip())
            self.as_owner(*control, "-m", "immediate", "stop")

    @contextmanager
    def _scratch(self) -> Iterator[str]:
        with pg.acting_as(pg.OS_USER):
            folder = tempfile.mkdtemp(prefix=".pgstead-try-", dir=self.data.parent)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

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

    def unread(self, files: list[str]) -> list[str]:
        """Those files that changed after the server read its configuration: a run was broken off in between."""
        with pg.connect("postgres", self.port_in_use()) as connection:
            read = pg.rows(connection, "SELECT extract(epoch FROM pg_catalog.pg_conf_load_time()) AS at")[0]["at"]
        return [path for path in files if Path(path).exists() and Path(path).stat().st_mtime > float(read)]

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
        began = time.monotonic()
        while done.returncode == 0:
            try:
                pg.connect("postgres", self.port).close()
                return
            except pg.Error as problem:
                waited = time.monotonic() - began
                patience = RECOVERY_DEADLINE if "starting up" in str(problem) else START_DEADLINE
                if waited > patience or not self.running:
                    done.stderr = str(problem)
                    break
            time.sleep(0.1)
        logged = ""
        if self.log.exists():
            with self.log.open("rb") as file:
                file.seek(offset)
                logged = file.read().decode(errors="replace")
        raise RejectedError(telling(logged) or done.stderr.strip())


def telling(log: str) -> str:
    """The lines of a server's log that say why it did not start; all of them where none stands out."""
    lines = log.strip().splitlines()
    marked = [line for line in lines if any(word in line for word in ("FATAL", "ERROR", "HINT", "CONTEXT"))]
    return "\n".join(marked or lines)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "int", "required": True},
            "name": {"type": "str", "default": "main"},
            "port": {"type": "int", "default": 5432},
            "locale": {"type": "str", "default": "C.UTF-8"},
            "restart": {"type": "bool", "default": False},
            **SPEC,
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
    if running and instance.port_in_use() != instance.port and not module.params["restart"]:
        module.fail_json(
            msg=f"the server runs on port {instance.port_in_use()}, declared is {instance.port}: moving it needs a "
            "restart. Nothing was changed. Write the old port back, or set postgresql_restart: true."
        )
    can_ask = running and not (module.check_mode and not pg.is_installed())
    try:
        unread = instance.unread([item["dest"] for item in module.params["files"]]) if can_ask else []
        result: dict[str, Any] = {
            "changed": created or bool(changes or unread) or not running,
            "created": created,
            "restarted": False,
            "changed_files": [str(change.path) for change in changes],
            "pending_restart": [],
            "diff": [change.diff for change in changes],
        }
        if created:
            result["diff"].insert(0, {"before": "", "after": f"instance {instance.version}/{instance.name}\n"})
        if unread:
            result["diff"].append({"before": "", "after": f"read by the server: {', '.join(unread)}\n"})
        if module.check_mode:
            result["pending_restart"] = instance.pending() if can_ask else []
            module.exit_json(**result)
        apply_all(changes)
        if changes or unread or not running:
            instance.judge()
        if not running:
            instance.start()
            result["restarted"] = True
            instance.judge_hba()
        elif changes or unread:
            instance.reload()
        pending = instance.pending()
        if pending and module.params["restart"]:
            instance.start()
            result["restarted"] = result["changed"] = True
            pending = instance.pending()
        result["pending_restart"] = pending
    except (RejectedError, pg.Error) as problem:
        module.fail_json(msg=put_back(instance, changes, running, str(problem).strip()))
    except (OSError, ValueError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def put_back(instance: Instance, changes: list[Change], was_running: bool, reason: str) -> str:
    """Restores the files; a server that ran before runs again, with what it ran with.

    Returns:
        What to tell: the reason first, whatever happened afterwards.
    """
    if not changes:
        return f"PostgreSQL does not accept its configuration. It says:\n{reason}"
    undo_all(changes)
    told = f"PostgreSQL rejects its configuration; the last good files are back. It says:\n{reason}"
    try:
        if not was_running:
            instance.run("systemctl", "stop", instance.unit)
        elif instance.running:
            instance.reload()
        else:
            instance.start()
    except (RejectedError, pg.Error) as problem:
        told += f"\nThe server does not take the old files back either:\n{problem}"
    return told


if __name__ == "__main__":
    main()
