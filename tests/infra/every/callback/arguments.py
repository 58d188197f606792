"""Callback plugin of a test: writes down what every module is called with. Here no_log hides nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: arguments
type: aggregate
short_description: Every module's name and arguments, a line of JSON each, into the file $MODULE_ARGUMENTS
description: For tests alone.
"""

_execute = ActionBase._execute_module


def _execute_and_tell(self: Any, module_name: Any = None, module_args: Any = None, *more: Any, **options: Any) -> Any:
    told = [module_name or self._task.action, self._task.args if module_args is None else module_args]
    with Path(os.environ["MODULE_ARGUMENTS"]).open("a") as file:
        file.write(json.dumps(told, default=str) + "\n")
    return _execute(self, module_name, module_args, *more, **options)


# Before any worker is forked: each of them has it.
ActionBase._execute_module = _execute_and_tell


class CallbackModule(CallbackBase):
    """Has nothing to do but to be loaded."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "arguments"
