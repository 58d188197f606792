"""Checks the whole declaration and the host against each other, and reports every problem at once."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.pgstead.platform.plugins.plugin_utils import declaration, host, model, rooms, shape
from ansible_collections.pgstead.platform.plugins.plugin_utils.rooms import Room
from ansible_collections.pgstead.platform.plugins.plugin_utils.shape import Problem

# Inputs of the playbooks, and of `pgstead sandbox`, which reads them from the same inventory.
_TOOL_VARIABLES = [
    "pgstead_break_lock",
    "sandbox_image",
    "sandbox_network",
    "sandbox_subnet",
    "sandbox_options",
    "sandbox_container",
]


class ActionModule(ActionBase):
    """One task, one remote call, no change."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        known = rooms.of_play(task_vars)
        defaults = rooms.defaults(known)
        guests = self._enabled(known, defaults | task_vars)
        options = rooms.inputs(known, guests)
        values, problems = self._values(options, defaults, task_vars)
        problems += self._unknown(options, known, task_vars)
        # A role's slice that nobody overrides repeats what it is a slice of.
        own = {
            name: option
            for name, option in options.items()
            if option.get("required") or task_vars.get(name, defaults.get(name)) != defaults.get(name)
        }
        wrong = declaration.explained(shape.check(values, own), known, guests)
        problems += wrong
        # What is wrong by itself is left out of what is checked against other things; the rest is still checked.
        spoilt = {re.split(r"[.\[]", problem.path)[0] for problem in wrong if "." not in problem.path}
        sound = declaration.sound(values, wrong, self._templated(defaults, defaults | task_vars))
        sound["inventory_dir"] = task_vars.get("inventory_dir")
        further = [*declaration.problems(sound, guests), *self._host(sound, guests, task_vars, bool(problems))]
        problems += [problem for problem in further if problem.path not in spoilt]
        result["problems"] = [{"path": p.path, "found": p.found, "expected": p.expected} for p in problems]
        if problems:
            result["failed"] = True
            count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
            result["msg"] = f"{count}; nothing was changed:\n" + "\n".join(f"- {p}" for p in problems)
        return result

    def _evaluate(self, variables: dict[str, Any]) -> rooms.Evaluate:
        templar = self._templar.copy_with_new_env(available_variables=variables)
        return lambda value: templar.template(rooms.trusted(value))

    def _enabled(self, known: tuple[Room, ...], variables: dict[str, Any]) -> list[Room]:
        try:
            return rooms.enabled(known, self._evaluate(variables))
        except AnsibleError as problem:
            raise AnsibleError(f"`enabled` of a role's meta/room.yml: {problem}") from problem

    def _values(
        self, options: dict[str, Any], defaults: dict[str, Any], task_vars: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Declared values, templated, where nothing is declared the defaults."""
        variables = defaults | task_vars
        templar = self._templar.copy_with_new_env(available_variables=variables)
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, option in options.items():
            if name not in variables:
                continue
            try:
                values[name] = templar.template(variables[name])
            except AnsibleError as problem:
                # The message names what is undefined; a value that could be secret is not part of it.
                values.pop(name, None)
                if option.get("required") or name in task_vars:
                    problems.append(Problem(name, "an expression that fails", str(problem).splitlines()[0]))
        return values, problems

    def _templated(self, wanted: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Values with their expressions evaluated; those that fail are left out."""
        templar = self._templar.copy_with_new_env(available_variables=variables)
        found = {}
        for name, value in wanted.items():
            with contextlib.suppress(AnsibleError):
                found[name] = templar.template(value)
        return found

    def _unknown(self, options: dict[str, Any], known: tuple[Room, ...], task_vars: dict[str, Any]) -> list[Problem]:
        """Misspelt variables."""
        platform = Path(task_vars.get("inventory_dir") or ".") / "group_vars" / "all" / "platform.yml"
        declared = list(self._loader.load_from_file(str(platform)) or {}) if platform.is_file() else []
        magic = re.compile(r"__|ansible_|inventory_|role_|play|group|hostvars|omit|vars$|environment|molecule_")
        names = [name for name in task_vars if not magic.match(name)]
        prefixes = [f"{room.name}_" for room in known]
        ignore = list(task_vars.get("preflight_ignore") or [])
        return list(declaration.unknown_variables(names, declared, [*options, *_TOOL_VARIABLES], prefixes, ignore))

    def _host(
        self, values: dict[str, Any], guests: list[Room], task_vars: dict[str, Any], others: bool
    ) -> list[Problem]:
        """Problems of the host; where it cannot be reached, that is one of them if there are others to tell."""
        evaluate = self._evaluate(values)
        databases = model.expand(values.get("databases") or [], [], guests)["databases"]
        arguments = {"node_address": values["node_address"], "packages": rooms.packages(guests, evaluate, databases)}
        for room in guests:
            if probe := room.code("probe"):
                arguments |= probe(values)
        try:
            answer = self._execute_module("pgstead.platform.probe", module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as problem:
            if not others:
                raise
            return [Problem("the node", "not reachable", str(problem))]
        if "seen" not in answer:
            raise AnsibleError(str(answer.get("module_stderr") or answer.get("msg") or answer))
        return list(host.problems(values, answer["seen"], guests, evaluate(rooms.ports(guests))))
