"""What several contract tests read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

HOME = Path(__file__).resolve().parents[2]

ROLES = sorted(path.parents[1] for path in HOME.glob("roles/*/tasks/main.yml"))


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options(role: Path) -> dict[str, Any]:
    """The role's inputs as argument_specs has them."""
    (spec,) = load(role / "meta" / "argument_specs.yml")["argument_specs"].values()
    return dict(spec["options"])
