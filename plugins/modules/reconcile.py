#!/usr/bin/python
"""Ansible module: databases and roles of an instance, reconciled in bulk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reconcile
short_description: Makes databases, roles and rights of an instance what is declared, in bulk
description:
  - One connection for the cluster and one per database; observed state is read in a few queries, so a run without
    change costs the same for a hundred roles as for one.
  - Everything in a database happens in one transaction.
  - What exists but is not declared is returned as C(drift); removed only with C(prune), and never databases,
    schemas, tables or extensions. Settings of declared roles are always made the declared ones, because a role can
    change its own.
  - Runs through an action plugin of the same name, which computes password verifiers on the control node.
options:
  desired:
    description: The declaration as the filter C(pgstead.platform.model) expands it.
    type: dict
    required: true
  passwords:
    description: Passwords by name, and C(scram_salt_key). Used on the control node, never sent to the node.
    type: dict
  iterations: {description: Iterations of SCRAM verifiers., type: int, default: 4096}
  prune: {description: Whether undeclared things are removed., type: bool, default: false}
  version: {description: "Major version, for plans of a host that has no instance yet.", type: int, default: 16}
  cluster_queries: {description: "Asked of the cluster: C(observe-cluster.sql).", type: str, required: true}
  database_queries: {description: "Asked of a database: C(observe-database.sql).", type: str, required: true}
extends_documentation_fragment:
  - pgstead.platform.server
author: The pgstead authors
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
"""

EXAMPLES = r"""
- name: Databases, roles and rights
  pgstead.platform.reconcile:
    desired: "{{ databases | pgstead.platform.model([]) }}"
    passwords: "{{ secrets }}"
    cluster_queries: "{{ lookup('ansible.builtin.file', 'sql/observe-cluster.sql') }}"
    database_queries: "{{ lookup('ansible.builtin.file', 'sql/observe-database.sql') }}"
"""

RETURN = r"""
steps: {description: What was, or would be, changed., type: list, elements: str, returned: always}
drift: {description: What exists and is not declared., type: list, elements: str, returned: always}
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pgstead.platform.plugins.module_utils import pg, reconcile
from ansible_collections.pgstead.platform.plugins.module_utils.reconcile import Step

EMPTY_CLUSTER: dict[str, Any] = {
    "roles": [{"name": "postgres", "comment": "", "is_bootstrap": True}],
    "memberships": [],
    "settings": [],
    "databases": [],
    "database_grants": [],
    "valid_until": [],
    "dependencies": [],
    "parameter_grants": [],
}


def observe(connection: Any, queries: dict[str, str], parameters: dict[str, Any]) -> dict[str, Any]:
    """Every result set of a .sql file by its block's name."""
    return {name: pg.rows(connection, query, parameters) for name, query in queries.items()}


def observe_cluster(connection: Any, module: AnsibleModule) -> dict[str, Any]:
    texts = sorted({role["valid_until"] for role in module.params["desired"]["roles"]} - {""})
    observed = observe(connection, module.params["cluster_queries"], {"texts": texts})
    observed["version"] = connection.server_version // 10000
    return observed


def observe_database(connection: Any, module: AnsibleModule, entry: dict[str, Any]) -> dict[str, Any]:
    desired = module.params["desired"]
    parameters = {
        "schemas": [schema["name"] for schema in entry["schemas"]],
        "wanted": json.dumps(reconcile.wanted_grants(desired, entry)),
        "managed": [role["name"] for role in desired["roles"]],
        "owner": entry["owner"],
        "writers": reconcile.writers(connection.server_version // 10000),
    }
    return observe(connection, module.params["database_queries"], parameters)


def execute(connection: Any, steps: list[Step]) -> None:
    """Runs steps in order, in as few transactions as their kinds allow; the last one is left open."""
    for step in steps:
        if step.alone:
            connection.commit()
            connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(step.sql)
        except pg.Error as problem:
            raise StepError(step, problem) from problem
        finally:
            if step.alone:
                connection.autocommit = False


class StepError(Exception):
    """PostgreSQL refused a step."""

    def __init__(self, step: Step, problem: Exception) -> None:
        where = f" in database {step.database}" if step.database else ""
        super().__init__(f"{step.object}{where}: {str(problem).strip()} (wanted: {step.after or 'removed'})")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "desired": {"type": "dict", "required": True, "no_log": False},
            "prune": {"type": "bool", "default": False},
            **pg.SERVER,
            "version": {"type": "int", "default": 16},
            "cluster_queries": {"type": pg.blocks, "required": True},
            "database_queries": {"type": pg.blocks, "required": True},
            # Set by the action plugin:
            "verifiers": {"type": "dict", "default": {}, "no_log": True},
            "decisions": {"type": "dict", "default": {}},
            "nonce": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    for role in parameters["desired"]["roles"]:
        role["verifier"] = parameters["verifiers"].get(role["name"], "")
    fresh = module.check_mode and pg.is_absent(parameters)
    if fresh and not pg.is_installed():
        module.warn("python3-psycopg2 is not installed on the node yet: what is shown is for a server without anything")
    try:
        steps = run_fresh(module) if fresh else run(module)
    except (pg.Error, StepError) as problem:
        module.fail_json(msg=str(problem).strip())
    changes = wanted(module, steps)
    drift = [step for step in steps if step not in changes]
    module.exit_json(
        changed=bool(changes),
        steps=[described(step) for step in changes],
        drift=[described(step) for step in drift],
        diff=[
            {
                "before_header": step.object,
                "after_header": step.object,
                "before": lined(step.before),
                "after": lined(step.after),
            }
            for step in changes
        ],
    )


def lined(text: str) -> str:
    return f"{text}\n" if text else ""


def described(step: Step) -> str:
    return f"{step.object}: {step.before or '(none)'} -> {step.after or '(removed)'}"


def run_fresh(module: AnsibleModule) -> list[Step]:
    """The plan for a host that has no instance yet (check mode)."""
    desired = module.params["desired"]
    version = module.params["version"]
    steps = reconcile.cluster(desired, EMPTY_CLUSTER | {"version": version}, {})
    for entry in desired["databases"]:
        steps += reconcile.database(desired, entry, reconcile.fresh_database(desired, entry, version))
    return steps


def run(module: AnsibleModule) -> list[Step]:
    """Observes, plans, and unless in check mode applies. Returns every step of the plan."""
    parameters = module.params
    desired = parameters["desired"]
    connection = pg.administer("postgres", parameters)
    observed = observe_cluster(connection, module)
    undecided = {
        name: reconcile.proof(stored, parameters["nonce"])
        for name, stored in reconcile.undecided_passwords(desired, observed).items()
        if name not in parameters["decisions"]
    }
    if undecided:
        module.exit_json(changed=False, undecided=undecided)
    steps = reconcile.cluster(desired, observed, parameters["decisions"])
    present = {database["name"] for database in observed["databases"]}
    if not module.check_mode:
        execute(connection, wanted(module, steps))
        connection.commit()
    connection.close()
    for entry in desired["databases"]:
        if module.check_mode and entry["name"] not in present:
            inside = reconcile.fresh_database(desired, entry, observed["version"])
            steps += reconcile.database(desired, entry, inside)
            continue
        connection = pg.administer(entry["name"], parameters)
        planned = reconcile.database(desired, entry, observe_database(connection, module, entry))
        if not module.check_mode:
            execute(connection, wanted(module, planned))
            connection.commit()
        connection.close()
        steps += planned
    stale = reconcile.stale_roles(desired, observed)
    if not module.check_mode:
        for step in wanted(module, stale):
            connection = pg.administer(step.database or "postgres", parameters)
            execute(connection, [step])
            connection.commit()
            connection.close()
    return steps + stale


def wanted(module: AnsibleModule, steps: list[Step]) -> list[Step]:
    """The steps that are to run: all that change something, those that remove something only when asked."""
    return [step for step in steps if step.sql and (module.params["prune"] or not step.prune)]


if __name__ == "__main__":
    main()
