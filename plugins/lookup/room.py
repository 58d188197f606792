"""Lookup: what roles say in their meta/room.yml."""

from __future__ import annotations

DOCUMENTATION = r"""
name: room
short_description: What a role brings, and what the rooms of a play bring, out of their meta/room.yml
description:
  - So that what a role brings stands once, for itself and for whoever reads all rooms, and nobody has a list of rooms.
options:
  _terms:
    description: >-
      C(packages), the names of what the role that asks installs. C(server), what the server must have for the roles of
      the play. C(verified), the names of the enabled roles that have something for the checklist.
    required: true
    choices: [packages, server, verified]
author: The pgstead authors
"""

EXAMPLES = r"""
- name: Packages
  ansible.builtin.apt:
    name: "{{ lookup('pgstead.platform.room', 'packages') }}"

- name: What each room answers
  ansible.builtin.include_role:
    name: "{{ item }}"
    tasks_from: verify
  loop: "{{ lookup('pgstead.platform.room', 'verified') }}"
"""

RETURN = r"""
_raw:
  description: Names; of C(server) a mapping of settings, hba_before, hba_after and peer_roles.
  type: list
  elements: raw
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.pgstead.platform.plugins.plugin_utils import rooms


class LookupModule(LookupBase):
    """Evaluates what stands there with the variables of who asks."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[Any]:
        answers = {"packages": self._packages, "server": self._server, "verified": self._verified}
        try:
            return [answers[term](variables or {}) for term in terms]
        except ValueError as problem:
            raise AnsibleError(f"meta/room.yml: {problem}") from problem

    def _packages(self, variables: dict[str, Any]) -> list[str]:
        room = rooms.of_role(Path(variables["role_path"]))
        return rooms.packages([room], lambda value: self._templar.template(rooms.trusted(value)))

    def _server(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = self._templar.template(variables.get("rooms_in_play"))  # a play's variables come as they stand there
        played = given or variables.get("ansible_play_role_names") or []
        found = rooms.in_play(rooms.of_play(variables), played)
        evaluate = self._of_all(variables)
        wanted: dict[str, Any] = evaluate(rooms.server(rooms.enabled(found, evaluate)))
        return wanted

    def _verified(self, variables: dict[str, Any]) -> list[str]:
        found = rooms.enabled(rooms.of_play(variables), self._of_all(variables))
        return [room.known_as for room in found if (room.role / "tasks" / "verify.yml").is_file()]

    def _of_all(self, variables: dict[str, Any]) -> rooms.Evaluate:
        """Evaluates with the defaults of all roles, those not of this play among them."""
        known = rooms.defaults(rooms.of_play(variables)) | variables
        templar = self._templar.copy_with_new_env(available_variables=known)
        return lambda value: templar.template(rooms.trusted(value))
