"""Action side of pgstead.platform.lock: who this run is, and whether the holder of the lock still runs here."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
import uuid
from typing import Any

from ansible.plugins.action import ActionBase


def _started(pid: int) -> str:
    """Start time of a process as ps prints it, "" where it has ended: process ids are used again."""
    done = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


class ActionModule(ActionBase):
    """Takes or releases the lock; a dead run of this control node does not hold anybody up."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        playbook = os.getppid()  # a task runs in a child of ansible-playbook
        machine = f"{socket.gethostname()}-{uuid.getnode():x}"
        owner = {
            "id": f"{machine}-{playbook}-{_started(playbook)}",
            "machine": machine,
            "pid": playbook,
            "started": _started(playbook),
            "who": f"{getpass.getuser()}@{socket.gethostname()}",
        }
        arguments = self._task.args | {"owner": owner}
        answer = self._execute_module("pgstead.platform.lock", module_args=arguments, task_vars=task_vars)
        holder = answer.get("holder")
        if holder and holder["machine"] == machine and _started(holder["pid"]) != holder["started"]:
            arguments["replace"] = holder["id"]
            answer = self._execute_module("pgstead.platform.lock", module_args=arguments, task_vars=task_vars)
            holder = answer.get("holder")
        result.update(answer)
        if holder:
            since = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(holder["since"]))
            result |= {
                "failed": True,
                "locked": True,
                "msg": f"another deploy is at work on this node since {since}: "
                f"{holder['who']}, process {holder['pid']}. "
                "Nothing was changed. Wait for it to end; if it is gone for good: -e pgstead_break_lock=true",
            }
        return result
