"""Action side of pgstead.platform.schema: reads the projects where they are, on the control node."""

from __future__ import annotations

import getpass
import socket
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.pgstead.platform.plugins.module_utils import sqitch


class ActionModule(ActionBase):
    """Passes the databases on, each with the files of its project instead of the project's name."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        migrators = {r["database"]: r for r in reversed(self._task.args["roles"]) if r["kind"] == "migrator"}
        bases = sqitch.bases(task_vars.get("inventory_dir"))
        projects = []
        for database in self._task.args["databases"]:
            try:
                files = sqitch.read(sqitch.locate(database["schema_project"], bases))
            except ValueError as problem:
                where = f"schema_project {database['schema_project']!r} of database {database['name']}"
                raise AnsibleActionFail(f"{where}: {problem}") from problem
            if database["name"] not in migrators:
                why = "no role of kind migrator, who deploys its schema_project; declare one"
                raise AnsibleActionFail(f"database {database['name']}: {why}")
            who = migrators[database["name"]]
            project = {"database": database["name"], "owner": database["owner"], "files": files}
            projects.append(project | {"migrator": who["name"], "secret": who["secret"]})
        arguments = {key: value for key, value in self._task.args.items() if key not in ("databases", "roles")}
        arguments |= {"projects": projects, "who": f"{getpass.getuser()}@{socket.gethostname()}"}
        result.update(self._execute_module("pgstead.platform.schema", module_args=arguments, task_vars=task_vars))
        return result
