#!/usr/bin/python
"""Ansible module: what the preflight needs to know of a host before anything is changed on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: What a host is and has, before anything is changed on it
description:
  - Reads the release, resources, addresses, listening ports, instances and data directories, and asks the declared
    package source what it offers. The action plugin of M(pgstead.platform.preflight) runs it and judges the answers.
options:
  node_address: {description: The declared address of the node., type: str, required: true}
  data_directory: {description: Where the instance's data will be., type: path, required: true}
  minor: {description: "The pinned minor version, empty where none is.", type: str, default: ""}
  packages: {description: "Packages that are needed: what is installed of them, and what the source has.", type: list,
             elements: str, required: true}
  source:
    description: "The declared package source: kind, uri, suite (empty is <codename>-pgdg), components."
    type: dict
    required: true
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: What the node has, and what the package source offers
  pgstead.platform.probe:
    node_address: 10.0.0.5
    data_directory: /var/lib/postgresql/16/main
    packages: [postgresql-16, pgbouncer]
    source: {kind: pgdg, uri: "https://apt.postgresql.org/pub/repos/apt", suite: "", components: [main]}
  register: found
"""

RETURN = r"""
seen: {description: What was found., type: dict, returned: always}
"""

import gzip
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import node, source

_SERVER = re.compile(r"postgresql-\d+")


def offered(module: AnsibleModule, facts: dict[str, Any]) -> dict[str, Any]:
    """What the source has; not asked where everything is installed already."""
    declared, names = module.params["source"], module.params["packages"]
    known = source.known_to_apt(names)
    if declared["kind"] == "distro":
        # Without package lists APT cannot know; what it then says itself is clear enough.
        return {"packages": known, "error": "", "unknown": not any(_SERVER.fullmatch(name) for name in known)}
    suite = declared["suite"] or f"{facts['release']['codename']}-pgdg"
    found = source.offered(declared["uri"], suite, declared["components"], facts["architecture"], names)
    for name, versions in known.items():
        if not _SERVER.fullmatch(name):  # the pooler and extensions may come from elsewhere as well
            found["packages"].setdefault(name, []).extend(versions)
    return found


def patched() -> bool:
    """Whether the installed PgBouncer's changelog says that CVE-2026-107350 is fixed in it."""
    changelog = Path("/usr/share/doc/pgbouncer/changelog.Debian.gz")
    return changelog.exists() and b"CVE-2026-107350" in gzip.decompress(changelog.read_bytes())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node_address": {"type": "str", "required": True},
            "data_directory": {"type": "path", "required": True},
            "minor": {"type": "str", "default": ""},
            "packages": {"type": "list", "elements": "str", "required": True},
            "source": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    facts = node.facts()
    installed = node.packages(module.params["packages"])
    minor = module.params["minor"]
    as_pinned = not minor or any(version.startswith(f"{minor}-") for version in installed.values())
    complete = as_pinned and set(module.params["packages"]) <= installed.keys()
    directory = module.params["data_directory"]
    module.exit_json(
        changed=False,
        seen={
            **facts,
            "free_mb": node.free_mb(directory),
            "addresses": node.addresses(),
            "node_address": node.resolve(module.params["node_address"]),
            "listeners": {str(port): program for port, program in node.listeners().items()},
            "instances": node.instances(),
            "data_directory": directory,
            "data_version": node.data_version(directory),
            "packages": installed,
            "pgbouncer_patched": patched(),
            "source": {"packages": {}, "error": "", "unknown": True} if complete else offered(module, facts),
        },
    )


if __name__ == "__main__":
    main()
