"""Schema projects that cannot be deployed; they lie on the control node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..module_utils import sqitch
from .shape import Problem


def problems(_: dict[str, Any], values: dict[str, Any]) -> Iterator[Problem]:
    """A project is one, and has somebody who deploys it: the migrator."""
    bases = sqitch.bases(values.get("inventory_dir"))
    for i, database in enumerate(values.get("databases") or []):
        project = database.get("schema_project")
        if not project:
            continue
        if "migrator" not in [role.get("kind") for role in database.get("roles") or []]:
            role = f"{{name: {database['name']}_migrator, kind: migrator}}"
            fix = f"a project is deployed by the migrator; add one: {role}"
            yield Problem(f"databases[{i}].roles", "no role of kind migrator", fix)
        try:
            sqitch.parse(sqitch.read(sqitch.locate(project, bases)))
        except ValueError as problem:
            yield Problem(f"databases[{i}].schema_project", repr(project), str(problem))
