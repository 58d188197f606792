"""Action side of pgstead_vectors: brings the queries along."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve()
sys.path.insert(0, str(_HERE.parents[1] / "module_utils"))

from ansible.plugins.action import ActionBase

from pgstead_platform import pg


class ActionModule(ActionBase):
    """Passes the task's arguments on with the queries of vectors.sql."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        queries = pg.blocks((_HERE.parents[1] / "sql" / "vectors.sql").read_text())
        arguments = self._task.args | {"queries": queries}
        result.update(self._execute_module("pgstead_vectors", module_args=arguments, task_vars=task_vars))
        return result
