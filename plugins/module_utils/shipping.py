"""For action plugins: a module runs on the node, its SQL is in files of the control node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from . import pg

_SQL = Path(__file__).resolve().parents[2] / "sql"


class Shipping(ActionBase):
    """Passes a task's arguments on to the module of its own name, with the queries of .sql files.

    Subclasses say which: the blocks of `queries` arrive as one argument of that name, those listed in `named` after its
    file each as an argument of its own.
    """

    queries = ""
    named: tuple[str, ...] = ()
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if self.queries:
            arguments["queries"] = pg.blocks((_SQL / self.queries).read_text())
        if self.named:
            file, *names = self.named
            blocks = pg.blocks((_SQL / file).read_text())
            arguments |= {name: blocks[name] for name in names}
        result.update(self._execute_module(self._task.action, module_args=arguments, task_vars=task_vars))
        return result
