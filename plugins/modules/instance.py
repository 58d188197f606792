#!/usr/bin/python
"""Ansible module: one PostgreSQL instance, which it makes and never starts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance
short_description: Makes or adopts one PostgreSQL instance of postgresql-common
description:
  - Creates the instance where it is missing, with data checksums and UTF-8. One that is there is taken as it is.
  - It starts nothing. C(pgstead.platform.server_config) writes the configuration and starts the server; in between,
    there is a data directory to restore into, or to make a replica of.
  - Data that was not made here is never touched; a creation that was interrupted is moved aside and starts over.
options:
  version: {description: Major version., type: int, required: true}
  name: {description: "Name of the instance, as in C(/etc/postgresql/16/main).", type: str, default: main}
  port: {description: TCP port., type: int, default: 5432}
  locale: {description: Locale at creation., type: str, default: C.UTF-8}
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: The instance 16/main
  pgstead.platform.instance:
    version: 16
"""

RETURN = r"""
created: {description: Whether the instance was created., type: bool, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils.postgresql import instance


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "int", "required": True},
            "name": {"type": "str", "default": "main"},
            "port": {"type": "int", "default": 5432},
            "locale": {"type": "str", "default": "C.UTF-8"},
        },
        supports_check_mode=True,
    )
    place = instance.Place(module.params["version"], module.params["name"])
    try:
        step = instance.step(place)
        if step and not module.check_mode:
            for told in instance.set_aside(place) if step == "start over" else []:
                module.warn(told)
            instance.make(place, module.params["port"], module.params["locale"])
    except (instance.RefusedError, OSError) as problem:
        module.fail_json(msg=str(problem))
    after = f"instance {place.version}/{place.name}\n" if step else ""
    module.exit_json(changed=bool(step), created=bool(step), diff=[{"before": "", "after": after}] if step else [])


if __name__ == "__main__":
    main()
