"""Shows the checklist of a node, and fails where a line does not hold."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Runs on the control node alone."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        lines = self._task.args["lines"]
        red = [line for line in lines if not line["ok"]]
        marks = ["FAILED" if not line["ok"] else "look" if line.get("look") else "ok" for line in lines]
        rows = [
            f"{mark:<6}  {line['area']:<28} {line['title']}: {line['found']}"
            + ("" if mark == "ok" else f"  -> {line['fix']}")
            for mark, line in zip(marks, lines, strict=True)
        ]
        result |= {
            "failed": bool(red),
            "checklist": lines,
            "urls": self._task.args.get("urls", []),
            "msg": "\n".join([*rows, f"{len(lines) - len(red)} of {len(lines)} lines hold"]),
        }
        return result
