#!/usr/bin/python
"""Ansible module: facts of a node that pgstead's roles plan with."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node
short_description: Facts of a node that pgstead's roles plan with
description:
  - Memory, cores, kind of storage, release, installed versions. Reads only, in a fraction of the time that
    C(ansible.builtin.setup) needs.
options:
  packages:
    description: Packages whose installed version is wanted.
    type: list
    elements: str
    default: []
  users:
    description: OS users whose existence is wanted.
    type: list
    elements: str
    default: []
  paths:
    description: Paths whose existence is wanted.
    type: list
    elements: str
    default: []
  data_path:
    description: Where data will live; its storage kind and free space are reported.
    type: path
    default: /var/lib/postgresql
author: The pgstead authors
attributes:
  check_mode: {support: full}
"""

EXAMPLES = r"""
- name: Look at the node
  pgstead.platform.node:
    packages: [pgbouncer]
    users: [pgbouncer]
  register: found
"""

RETURN = r"""
node:
  description: The facts.
  type: dict
  returned: always
  sample:
    release: {id: debian, version: "13", codename: trixie, name: Debian GNU/Linux 13 (trixie)}
    architecture: amd64
    memory_mb: 4096
    cores: 2
    container: ""
    storage: ssd
    free_mb: 20480
    disk_mb: 40960
    dpkg_interrupted: false
    packages: {pgbouncer: 1.26.1-1}
    users: [pgbouncer]
    paths: []
    addresses: [127.0.0.1, "::1", 10.0.0.5]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import node


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "users": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "str", "default": []},
            "data_path": {"type": "path", "default": "/var/lib/postgresql"},
        },
        supports_check_mode=True,
    )
    path = module.params["data_path"]
    module.exit_json(
        changed=False,
        node={
            **node.facts(),
            "storage": node.storage_kind(path),
            "free_mb": node.free_mb(path),
            "disk_mb": node.disk_mb(path),
            "packages": node.packages(module.params["packages"]),
            "users": node.users(module.params["users"]),
            "paths": [name for name in module.params["paths"] if os.path.lexists(name)],
            "addresses": node.addresses(),
        },
    )


if __name__ == "__main__":
    main()
