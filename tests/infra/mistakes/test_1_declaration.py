"""A wrong declaration: refused before anything is changed, with the variable, what was found and what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wrong import INVENTORY, Cases, failed, inventory, refused, refused_together, rows

LONG = "x" * 70
# what is changed -> path in the message, what was found, what to write
CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unknown variable": (
        {"postgresql_verison": 16}, "postgresql_verison", "an unknown variable", "did you mean postgresql_version?",
    ),
    "unknown key, deep": (
        {"databases.0.roles.0.knid": "app"}, "databases[0].roles[0].knid", "an unknown key", "did you mean kind?",
    ),
    "a text for a list": ({"databases.0.extensions": "vector"}, "databases[0].extensions", "'vector'", "write a list"),
    "a text for a number": ({"postgresql_port": "five"}, "postgresql_port", "'five'", "write a whole number"),
    "a negative pool": ({"databases.0.pool.size": -1}, "databases[0].pool.size", "-1", "write a number from 1 to"),
    "the same database twice": (
        {"databases.1": {"name": "autolytiq"}}, "databases", "'autolytiq' 2 times", "declare each database once",
    ),
    "the same role twice": (
        {"databases.0.roles.3": {"name": "autolytiq_app"}},
        "databases[0].roles[3].name", "'autolytiq_app'", "already declared at databases[0].roles[0]",
    ),
    "role postgres": (
        {"databases.0.roles.0.name": "postgres"},
        "databases[0].roles[0].name", "'postgres'", "this name belongs to PostgreSQL or the pooler; choose another",
    ),
    "role pg_x": (
        {"databases.0.roles.0.name": "pg_x"}, "databases[0].roles[0].name", "'pg_x'", "this name belongs to PostgreSQL",
    ),
    "a quote in a name": (
        {"databases.0.name": "shop'; DROP DATABASE x"},
        "databases[0].name", "\"shop'; DROP DATABASE x\"", "write a name of letters, digits, underscore and hyphen",
    ),
    "a name of 70 letters": ({"databases.0.name": LONG}, "databases[0].name", "'xxx", "at most 63"),
    "fewer connections than the pools open": (
        {"postgresql_max_connections": 40},
        "postgresql_max_connections", "40", "write at least 53 (30 for the pools with their reserves + 20 direct",
    ),
    "the whole internet": (
        {"client_networks": ["0.0.0.0/0"]}, "client_networks[0]", "'0.0.0.0/0'", "this is the whole internet",
    ),
    "a version nobody has": ({"postgresql_version": 14}, "postgresql_version", "14", "write one of 15, 16, 17, 18"),
}  # fmt: skip


# the secret of the app role -> what was found
SECRETS: dict[str, tuple[Any, str]] = {
    "placeholder": ("changeme", "a placeholder"),
    "short": ("s3cr:et", "7 characters"),
    "missing": (None, "nothing"),
    "no text": (["list"], "a list"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was said of each case: one deploy to as many hosts as there are cases, which changes nothing on the node."""
    wrong: Cases = {case: (changes, {}) for case, (changes, *_) in CASES.items()}
    secrets: Cases = {case: ({}, {"autolytiq_app": secret}) for case, (secret, _) in SECRETS.items()}
    return refused_together(tmp_path_factory.mktemp("declarations"), wrong | secrets)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_value_is_refused(case: str, told: dict[str, str]) -> None:
    _, path, found, expected = CASES[case]
    said = told[case]
    assert "nothing was changed" in said
    assert [row for row in rows(said) if row[0] == path and found in row[1] and expected in row[2]], said


@pytest.mark.parametrize("case", SECRETS, ids=str)
def test_a_secret_that_is_none_is_refused_without_showing_it(case: str, told: dict[str, str]) -> None:
    said = told[case]
    assert "nothing was changed" in said
    assert [row for row in rows(said) if row[0] == "secrets.autolytiq_app" and SECRETS[case][1] in row[1]], said
    assert "ansible-vault edit" in said
    assert [case for case, text in told.items() if "s3cr:et" in text] == []


def test_everything_wrong_is_told_in_one_run(tmp_path: Path) -> None:
    # Of types, ranges, contradictions, secrets and the host: none hides another.
    changes = {
        "postgresql_verison": 16,
        "databases.0.pool.size": -1,
        "databases.1": {"name": "shop", "roles": [{"name": "shop_app", "knid": "app"}]},
        "databases.2": {"name": "shop"},
        "preflight_min_memory_mb": 99_000_000,
        "postgresql_mirror_suite": "nowhere",
    }
    where = inventory(tmp_path, changes, {"pgbouncer_stats": "changeme"})
    said = refused(
        where, "8 problems found; nothing was changed", "did you mean postgresql_version?", "databases[0].pool.size",
        "databases[1].roles[0].knid", "'shop' 2 times", "secrets.shop_app", "secrets.pgbouncer_stats", "99000000 MB",
    )  # fmt: skip
    assert "nowhere" in said


def test_the_wrong_vault_password_is_named(tmp_path: Path) -> None:
    other = tmp_path / "password"
    other.write_text("not this one\n")
    refused(
        INVENTORY,
        "the vault password is wrong",
        "--vault-password-file",
        arguments=("--vault-password-file", str(other)),
    )


def test_no_vault_password_is_told_from_a_wrong_one(tmp_path: Path) -> None:
    failed(inventory(tmp_path, {}), "the inventory is encrypted and no vault password is known", code=3, known=False)


def test_yaml_that_is_none_is_shown_with_its_line(tmp_path: Path) -> None:
    where = inventory(tmp_path, {}, {})
    (where / "group_vars/all/platform.yml").write_text("databases:\n  - name: shop\n   roles: []\n")
    failed(where, "platform.yml, line 3: ", code=3)


def test_an_inventory_that_is_not_there_names_those_that_are() -> None:
    failed(Path("prodd"), "there is no inventory 'prodd'", "sandbox", arguments=("--check",), code=3)
