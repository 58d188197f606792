"""Every client an app may use: 50 at once, of ten tenants, sharing two server connections, and nobody meets another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from shops import (
    CLIENTS,
    TENANTS,
    TRANSACTIONS,
    Console,
    Shop,
    Superuser,
    console,
    node,
    run,
    shop,
    superuser,
    workshop,
)

# Program -> whether it prepares its statements in the protocol; psycopg2 cannot.
PROGRAMS = {
    "postgresjs.mjs": True,
    "pg.mjs": True,
    "drizzle.mjs": True,
    "use_psycopg.py": True,
    "use_psycopg2.py": False,
    "use_asyncpg.py": True,
    "use_sqlalchemy.py": True,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_fifty_clients_of_ten_tenants_share_two_connections(
    program: str, shop: Shop, console: Console, superuser: Superuser
) -> None:
    superuser("TRUNCATE client_tags, client_notes", shop.name)
    before = binds(shop, console)
    result = run(shop, program, console)

    wanted = CLIENTS * TRANSACTIONS
    got = {key: result[key] for key in ("transactions", "errors", "foreign_rows", "own_rows")}
    assert got == {"transactions": wanted, "errors": 0, "foreign_rows": 0, "own_rows": wanted}, result.get("error")
    assert result["tags"] == wanted // TENANTS
    rows = f'SELECT count(*) FROM client_notes GROUP BY "{shop.tenancy["column"]}"'
    assert superuser(rows, shop.name).splitlines() == [str(wanted // TENANTS)] * TENANTS

    assert result["pool"]["clients"] >= CLIENTS
    assert result["pool"]["servers"] <= shop.database["pool"]["size"] == 2
    assert superuser("SELECT count(DISTINCT backend) FROM client_notes", shop.name) == "2"
    # Four statements a transaction, prepared once and bound ever after; the pooler counts those that have a name.
    times = binds(shop, console) - before
    assert times >= 4 * wanted if PROGRAMS[program] else times == 0

    # Each client made both mistakes, on connections that tenants had just used.
    assert list(result["refused"].values()) == [CLIENTS, CLIENTS]
    for mistake, answer in zip(("none", "plain SET"), sorted(result["refused"]), strict=True):
        assert answer.startswith(f"{mistake}: 42501 ")
        assert f"{shop.tenancy['schema']}.set_tenant(" in answer


def binds(shop: Shop, console: Console) -> int:
    return sum(int(row["total_bind_count"]) for row in console("SHOW STATS") if row["database"] == shop.name)
