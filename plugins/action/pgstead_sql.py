"""Action side of pgstead_sql: brings the fingerprint query along."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve()
sys.path.insert(0, str(_HERE.parents[1] / "module_utils"))

from ansible.plugins.action import ActionBase

from pgstead_platform import pg


class ActionModule(ActionBase):
    """Passes the task's arguments on, with the query that tells whether the SQL changed anything."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        query = pg.blocks((_HERE.parents[1] / "sql" / "fingerprint.sql").read_text())["fingerprint"]
        arguments = self._task.args | {"fingerprint": query}
        result.update(self._execute_module("pgstead_sql", module_args=arguments, task_vars=task_vars))
        return result
