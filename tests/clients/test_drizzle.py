"""drizzle-kit over the direct URL: what it makes is protected at once, what it disarms is armed again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from shops import Shop, Superuser, ask, node, shop, superuser, workshop

Kit = Callable[..., str]


@pytest.fixture(scope="module", params=["push", "migrate"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def prefix(way: str, shop: Shop) -> Iterator[str]:
    """Of the names of the tables that this way makes."""
    name = f"client_{way}"
    drop = "; ".join(f"DROP TABLE IF EXISTS {name}_{table}" for table in ("tags", "notes", "migrations"))
    shop.migrate(drop)
    yield name
    shop.migrate(drop)


@pytest.fixture(scope="module")
def kit(prefix: str, shop: Shop, workshop: Path) -> Kit:
    """Runs drizzle-kit as the migrator; its output."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [workshop / "node_modules/.bin/drizzle-kit", *arguments],
            cwd=shop.place, env=shop.environment(PREFIX=prefix), capture_output=True, text=True, check=False,
        )  # fmt: skip
        # push also drops sequences of tables that it is told to leave alone (drizzle-kit 0.31), as its last step; the
        # server refuses where a column needs them, and drizzle-kit ends with 0 all the same.
        assert done.returncode == 0, done.stdout + done.stderr
        assert not done.stderr or "code: '2BP01'" in done.stderr, done.stderr
        return done.stdout

    return run


def policies(superuser: Superuser, shop: Shop) -> set[str]:
    """Every table outside the system's schemas, with its protection."""
    return set(
        superuser(
            "SELECT c.oid::regclass, c.relrowsecurity, c.relforcerowsecurity, p.polname, p.polpermissive"
            " FROM pg_class AS c LEFT JOIN pg_policy AS p ON p.polrelid = c.oid"
            " WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'",
            shop.name,
        ).splitlines()
    )


@pytest.fixture(scope="module")
def made(way: str, shop: Shop, kit: Kit, superuser: Superuser) -> tuple[set[str], set[str]]:
    """What policies() says before and after schema.mjs came into the database."""
    before = policies(superuser, shop)
    for command in ("push --force",) if way == "push" else ("generate", "migrate"):
        kit(*command.split())
    return before, policies(superuser, shop)


def test_what_drizzle_makes_is_protected_at_once(
    shop: Shop, prefix: str, way: str, made: tuple[set[str], set[str]], superuser: Superuser
) -> None:
    before, after = made
    assert before <= after, "tables that Drizzle does not know, and their policies, stay"
    names = [f"{prefix}_notes", f"{prefix}_tags"]
    expected = {f"{name}|t|t|{shop.tenancy['policy_prefix']}{name}|f" for name in names}
    expected |= {f"{name}|t|t|tenant_access|t" for name in names}
    expected |= {f"{prefix}_migrations|f|f||"} if way == "migrate" else set()
    assert after - before == expected
    reference = f"SELECT convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = '{prefix}_tags'::regclass"
    assert superuser(reference, shop.name) == "t"
    isolated(shop, f"{prefix}_notes")


def test_what_drizzle_disarms_is_armed_again(
    shop: Shop, prefix: str, way: str, made: tuple[set[str], set[str]], kit: Kit, superuser: Superuser
) -> None:
    table = f"{prefix}_notes"
    if way == "push":  # it finds protection that schema.mjs does not name, and removes it, each time
        done = kit("push", "--force", "--verbose")
        assert f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY' in done
        assert f'DROP POLICY "{shop.tenancy["policy_prefix"]}{table}"' in done
    else:
        kit("generate", "--custom", "--name", "disarm")
        (migration,) = shop.place.glob("migrations/*_disarm.sql")
        migration.write_text(
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;\n--> statement-breakpoint\n"
            f"DROP POLICY {shop.tenancy['policy_prefix']}{table} ON {table};\n--> statement-breakpoint\n"
            f"CREATE POLICY everyone ON {table} USING (true);\n--> statement-breakpoint\n"
            f"DROP POLICY everyone ON {table};\n"
        )
        kit("migrate")
    _, before = made
    assert policies(superuser, shop) == before
    isolated(shop, table)


def isolated(shop: Shop, table: str) -> None:
    """A row of one tenant is there for that one, for no other, and without context for nobody."""
    one, two = shop.tenants[:2]
    shop.migrate(f"SELECT {shop.tenancy['schema']}.set_tenant('{one}'); DELETE FROM {table}")
    column = shop.tenancy["column"]
    shop.as_tenant(one, f"INSERT INTO {table} (\"{column}\", body) VALUES ('{one}', 'mine')")
    read = f"SELECT body FROM {table}"
    assert shop.as_tenant(one, read) == [("mine",)]
    assert shop.as_tenant(two, read) == []
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="tenant context"):
        ask(shop.role("app"), "pooled", shop.name, read)
