"""Action side of pgstead_schema: reads the projects where they are, on the control node."""

from __future__ import annotations

import getpass
import socket
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve()
sys.path.insert(0, str(_HERE.parents[1] / "module_utils"))

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from pgstead_platform import sqitch


class ActionModule(ActionBase):
    """Passes the databases on, each with the files of its project instead of the project's name."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        bases = [Path(task_vars.get("inventory_dir") or "."), _HERE.parents[2]]
        projects = []
        for database in self._task.args["databases"]:
            try:
                files = sqitch.read(sqitch.locate(database["schema_project"], bases))
            except ValueError as problem:
                where = f"schema_project {database['schema_project']!r} of database {database['name']}"
                raise AnsibleActionFail(f"{where}: {problem}") from problem
            projects.append({"database": database["name"], "owner": database["owner"], "files": files})
        arguments = {key: value for key, value in self._task.args.items() if key != "databases"}
        arguments |= {"projects": projects, "who": f"{getpass.getuser()}@{socket.gethostname()}"}
        result.update(self._execute_module("pgstead_schema", module_args=arguments, task_vars=task_vars))
        return result
