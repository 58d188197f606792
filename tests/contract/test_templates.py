"""What templates make of inputs for which no node of ours can show it: PGDG, and a kernel of its own."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from conftest import HOME


def rendered(role: str, template: str, **inputs: Any) -> list[str]:
    """Lines of a role's template, with its defaults but for these inputs; without comments."""
    loader, folder = DataLoader(), HOME / "roles" / role
    files = [folder / "defaults/main.yml", folder / "vars/main.yml"]
    variables: dict[str, Any] = {"ansible_managed": "x"}
    for file in files:
        variables |= loader.load_from_file(str(file), trusted_as_template=True)
    text = (folder / "templates" / template).read_text()
    made = Templar(loader, variables=variables | inputs).template(trust_as_template(text))
    return [line for line in made.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("packages", "more"), [(["postgresql-16-pgvector"], ""), (["pgpool2", "pg-activity"], " pgpool2 pg-activity")]
)
def test_what_is_asked_for_may_come_from_pgdg_and_nothing_beside_it(packages: list[str], more: str) -> None:
    node = {"node": {"release": {"codename": "trixie"}}}
    preferences = "etc/apt/preferences.d/pgstead-postgresql.pref.j2"
    found = rendered("postgresql", preferences, postgresql_extension_packages=packages, __postgresql_node=node)
    assert found[0].startswith("Package: postgresql postgresql-* ")
    assert found[0].endswith(f" python3-psycopg*{more}")
    assert found[1:] == [
        "Pin: release n=trixie-pgdg", "Pin-Priority: 500",
        "Package: *", "Pin: release n=trixie-pgdg", "Pin-Priority: -10",
    ]  # fmt: skip


def test_kernel_settings_of_ones_own_win() -> None:
    template = "etc/sysctl.d/60-pgstead-postgresql.conf.j2"
    dirty = ["vm.dirty_background_bytes = 67108864", "vm.dirty_bytes = 536870912"]
    assert rendered("postgresql", template) == ["vm.swappiness = 10", *dirty]
    own = {"vm.swappiness": 1, "kernel.sem": "250 32000 32 128"}
    found = rendered("postgresql", template, postgresql_sysctl=own)
    assert found == ["vm.swappiness = 1", *dirty, "kernel.sem = 250 32000 32 128"]
