"""Packages that go with a server: any that the source has, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import deploy, playbook

VECTOR = "postgresql-16-pgvector"


def asking(*packages: str) -> tuple[str, str]:
    return "-e", json.dumps({"postgresql_extension_packages": [VECTOR, *packages]})


@pytest.fixture
def without(node: Any) -> Iterator[None]:
    yield
    node.run("apt-get purge -qy --auto-remove pgbadger")


def test_a_package_that_carries_no_extension_is_installed_once(node: Any, without: None) -> None:
    assert not node.package("pgbadger").is_installed
    run = playbook("site", *asking("pgbadger"))
    assert (run["rc"], run["changed"]) == (0, 1), run["stdout"]
    assert node.run("pgbadger --version").rc == 0
    assert playbook("site", *asking("pgbadger"))["changed"] == 0


def test_a_package_that_no_source_has_is_refused_and_named() -> None:
    done = deploy(*asking("pgbagder"), check=False)
    assert done.returncode == 3
    assert "'pgbagder' postgresql_source: mirror does not have it" in " ".join(done.stderr.replace("│", "").split())
