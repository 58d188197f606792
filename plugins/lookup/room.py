"""Lookup: what the role that asks says of itself in its meta/room.yml."""

from __future__ import annotations

DOCUMENTATION = r"""
name: room
short_description: What a role brings, out of its own meta/room.yml
description: So that a role's packages stand once, for itself and for whoever reads all rooms.
options:
  _terms: {description: "Always packages, the names of what the role installs.", required: true, choices: [packages]}
author: The pgstead authors
"""

EXAMPLES = r"""
- name: Packages
  ansible.builtin.apt:
    name: "{{ lookup('pgstead.platform.room', 'packages') }}"
"""

RETURN = r"""
_raw: {description: The names., type: list, elements: list}
"""

from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.pgstead.platform.plugins.plugin_utils import rooms


class LookupModule(LookupBase):
    """Evaluates what stands there with the variables of who asks."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[Any]:
        room = rooms.of_role(Path((variables or {})["role_path"]))
        return [rooms.packages([room], lambda value: self._templar.template(rooms.trusted(value))) for _ in terms]
