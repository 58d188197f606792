"""Build hook of hatchling's: files beside the folders of the collection, for which pyproject.toml has no way."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "ansible.cfg", "galaxy.yml")


class Collection(BuildHookInterface[Any]):
    """Adds them to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":  # an editable one has the checkout itself
            build_data["force_include"] |= {name: f"ansible_collections/pgstead/platform/{name}" for name in FILES}
