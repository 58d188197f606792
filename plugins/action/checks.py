"""Action side of pgstead.platform.checks: writes the checks out, one for each item of a loop, on the control node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.pgstead.platform.plugins.module_utils import checklist, sqitch

KINDS = [kind for kind in checklist.KINDS if kind != "broken"]


class ActionModule(ActionBase):
    """Passes the checks on with their SQL, and of all passwords those that they name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        passwords = arguments.pop("passwords", None) or {}
        folders = arguments.pop("paths", None) or [str(Path(variables.get("role_path", ""), "files", "checks"))]
        checks = [check for folder in folders for check in self._checks(folder, variables, passwords)]
        if not checks:
            return result | {"changed": False, "lines": []}
        named = {check[kind]["secret"] for check in checks for kind in ("login", "lab") if kind in check}
        arguments |= {"checks": checks, "passwords": {name: passwords[name] for name in named}}
        result.update(self._execute_module("pgstead.platform.checks", module_args=arguments, task_vars=variables))
        return result

    def _checks(self, folder: str, variables: dict[str, Any], passwords: dict[str, str]) -> Iterator[dict[str, Any]]:
        """The checks of a directory: absolute, or relative to the inventory or the workspace."""
        bases = sqitch.bases(variables.get("inventory_dir"))
        path = next((base / folder for base in bases if (base / folder).is_dir()), Path(folder))
        entries: list[dict[str, Any]] = []
        try:
            entries = self._loader.load_from_file(str(path / "checks.yml"), trusted_as_template=True) or []
            if wrong := next((entry for entry in entries if not isinstance(entry, dict)), None):
                raise AnsibleError(f"a check is a dictionary, not {wrong!r}")
        except Exception as problem:
            yield _broken({"title": f"{folder}/checks.yml can be read"}, path, problem)
            return
        for entry in entries:
            try:
                yield from self._written_out(entry, path, variables, passwords)
            except Exception as problem:  # whatever it is: a check is written by people, and is not the only one
                yield _broken(entry, path, problem)

    def _written_out(
        self, entry: dict[str, Any], path: Path, variables: dict[str, Any], passwords: dict[str, str]
    ) -> Iterator[dict[str, Any]]:
        """One entry's checks."""
        kinds = [kind for kind in KINDS if kind in entry]
        if len(kinds) != 1:
            raise ValueError(f"it asks {' and '.join(kinds) or 'nothing'}; write one of {', '.join(KINDS)}")
        (kind,) = kinds
        said = {key: value for key, value in entry.items() if key not in ("loop", "when")}
        when = entry.get("when", [])
        items = self._templar.template(entry["loop"]) if "loop" in entry else [None]
        for item in items:
            templar = self._templar.copy_with_new_env(available_variables=variables | {"item": item})
            if not all(templar.evaluate_conditional(one) for one in (when if isinstance(when, list) else [when])):
                continue
            check = {"area": path.name, "fix": ""} | templar.template(said)
            asked = check[kind]
            if isinstance(asked, dict) and "file" in asked:
                names = asked["file"] if isinstance(asked["file"], list) else [asked["file"]]
                asked["sql"] = "".join((path / name).read_text("utf-8") for name in names)
                check.setdefault("title", f"{names[-1]} can be asked")
            if "title" not in check:
                raise ValueError("it has no title")
            check |= {key: str(check[key]) for key in ("area", "title", "fix")}
            if kind in ("login", "lab") and asked["secret"] not in passwords:
                raise ValueError(f"secrets.{asked['secret']} is missing from vault.yml")
            yield check


def _broken(entry: dict[str, Any], path: Path, problem: Exception) -> dict[str, Any]:
    """A red line in the place of a check that cannot be written out."""
    area, title = (str(entry.get(key, "")) for key in ("area", "title"))
    return {
        "area": path.name if "{{" in area or not area else area,
        "title": title or f"a check of {path}/checks.yml can be asked",
        "broken": str(problem).splitlines()[0] if isinstance(problem, AnsibleError) else checklist.text(problem),
        "fix": f"correct {path}/checks.yml",
    }
