"""Databases with tenants, and the verbs that tests of this folder run on them."""

from __future__ import annotations

from typing import Any

from conftest import INVENTORY, node, pgstead, playbook, superuser  # fixtures of the infra tests, for these as well
from tenants import SITES as EVERY
from tenants import Site

SITES = [site for site in EVERY if not site.key]


def verb(*arguments: str, check: bool = True) -> Any:
    """Runs the CLI on the scenario's inventory; its exit code, stdout and stderr."""
    return pgstead(*arguments, "-i", str(INVENTORY), check=check)


def key(site: Site) -> str:
    """Name of the tenant table's key."""
    return str(site.tenancy["key"])
