"""What tests of real clients share: every database with tenants, two tables and ten tenants in each, the programs.

Fixtures are imported where they are used: a second conftest.py would hide the one of tests/infra.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import DECLARED, HOME, INVENTORY, ask, console, node, pgstead, superuser

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
WORKSHOP = HOME / ".pgstead" / "cache" / "clients"  # nothing is written into the source tree
CLIENTS, TENANTS, TRANSACTIONS = 50, 10, 20
DATABASES = [db for db in DECLARED.model["databases"] if db["tenancy"] and not db["tenancy"]["token"]]

Superuser = Callable[[str, str], str]
Console = Callable[[str], list[dict[str, str]]]


@dataclass(frozen=True)
class Shop:
    """One database with tenants.

    Args:
        database: as declared.
        urls: DATABASE_URL and DIRECT_DATABASE_URL, as `pgstead url` prints them.
        tenants: ids of ten tenants that are nobody else's.
        place: where the programs are, written for this database.
    """

    database: dict[str, Any]
    urls: dict[str, str] = field(repr=False)  # passwords are in them
    tenants: list[Any]
    place: Path

    @property
    def name(self) -> str:
        return str(self.database["name"])

    @property
    def tenancy(self) -> dict[str, str]:
        found: dict[str, str] = self.database["tenancy"]
        return found

    def role(self, kind: str) -> str:
        wanted = (kind, self.name)
        return next(role["name"] for role in DECLARED.model["roles"] if (role["kind"], role["database"]) == wanted)

    def migrate(self, statement: str) -> None:
        ask(self.role("migrator"), "direct", self.name, statement)

    def as_tenant(self, tenant: Any, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement in a transaction of the app."""
        context = f"SELECT {self.tenancy['schema']}.set_tenant('{tenant}')"  # one message is one transaction
        return ask(self.role("app"), "pooled", self.name, f"{context}; {statement}")

    def environment(self, **extra: str) -> dict[str, str]:
        own = {"TENANT_COLUMN": self.tenancy["column"], "TENANT_TYPE": self.tenancy["type"]}
        return os.environ | self.urls | own | {"PATH": f"{BIN}:{os.environ['PATH']}"} | extra


@pytest.fixture(scope="session")
def workshop() -> Path:
    """The npm packages of the lock file, installed anew only when it changed."""
    lock = (HERE / "node" / "package-lock.json").read_text()
    installed = WORKSHOP / "installed"
    if not installed.exists() or installed.read_text() != lock:
        WORKSHOP.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            (WORKSHOP / name).write_text((HERE / "node" / name).read_text())
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
        done = subprocess.run(argv, cwd=WORKSHOP, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        installed.write_text(lock)
    return WORKSHOP


@pytest.fixture(scope="module", params=DATABASES, ids=lambda database: str(database["name"]))
def shop(request: pytest.FixtureRequest, superuser: Superuser, workshop: Path) -> Iterator[Shop]:
    """Two tables as a migration makes them, one referring to the other; each row tells what connection wrote it."""
    database = request.param
    tenancy = database["tenancy"]
    column, kind = tenancy["column"], tenancy["type"]
    table = f'"{tenancy["namespace"]}"."{tenancy["table"]}"'
    schema, place = tenancy["schema"], workshop / database["name"]
    if place.exists():
        shutil.rmtree(place)
    place.mkdir()
    for source in [*HERE.glob("node/*js"), *HERE.glob("python/*.py")]:
        # The schema of the functions is one of the names that an inventory chooses; the documents show the default.
        (place / source.name).write_text(source.read_text().replace("app.set_tenant", f"{schema}.set_tenant"))
    lines = pgstead("url", "-i", str(INVENTORY), "--database", database["name"], "--show").stdout.splitlines()
    urls = {name: url.strip('"') for name, _, url in (line.partition("=") for line in lines)}
    tenants = add_tenants(superuser, database["name"], tenancy, table)
    found = Shop(database, urls, tenants, place)
    found.migrate(
        "DROP TABLE IF EXISTS client_tags, client_notes;"
        f'CREATE TABLE client_notes ("{column}" {kind} NOT NULL REFERENCES {table} ("{tenancy["key"]}"),'
        " id uuid NOT NULL DEFAULT gen_random_uuid(), body text NOT NULL,"
        f' backend int NOT NULL DEFAULT pg_backend_pid(), PRIMARY KEY ("{column}", id));'
        f'CREATE TABLE client_tags ("{column}" {kind} NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(),'
        f' note_id uuid NOT NULL, label text NOT NULL, PRIMARY KEY ("{column}", id),'
        f' FOREIGN KEY ("{column}", note_id) REFERENCES client_notes ("{column}", id))'
    )
    yield found
    found.migrate("DROP TABLE client_tags, client_notes")
    ids = ", ".join(f"'{tenant}'" for tenant in tenants)
    superuser(f'DELETE FROM {table} WHERE "{tenancy["key"]}" IN ({ids})', database["name"])


def add_tenants(superuser: Superuser, database: str, tenancy: dict[str, str], table: str) -> list[Any]:
    """Inserts ten tenants; what the tenant table demands besides, it gets something of the right type for."""
    wanted = superuser(
        "SELECT a.attname, format_type(t.oid, NULL), t.typcategory FROM pg_attribute AS a"
        " JOIN pg_type AS t ON t.oid = a.atttypid"
        f" WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull"
        " AND NOT a.atthasdef AND a.attidentity = ''",
        database,
    )
    of_category = {"S": "'client ' || n", "N": "900000 + n", "B": "true", "D": "now()", "E": "enum_first(NULL::{})"}
    values: dict[str, str] = {}
    for line in wanted.splitlines():
        name, kind, category = line.split("|")
        filling = "gen_random_uuid()" if kind == "uuid" else of_category[category].format(kind)
        values[f'"{name}"'] = filling
    made = superuser(
        f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())}"
        f' FROM generate_series(1, {TENANTS}) AS n RETURNING "{tenancy["key"]}"',
        database,
    ).splitlines()
    return [int(tenant) for tenant in made] if tenancy["type"] in ("bigint", "integer") else made


def run(shop: Shop, program: str, console: Console) -> dict[str, Any]:
    """Puts the load on a client program; what it printed, and under "pool" the most that the pooler held meanwhile."""
    argv = ["node", program] if program.endswith(".mjs") else [sys.executable, program]
    job = {
        "tenants": shop.tenants, "clients": CLIENTS, "transactions": TRANSACTIONS,
        "column": shop.tenancy["column"], "type": shop.tenancy["type"], "setting": shop.tenancy["setting"],
    }  # fmt: skip
    most = {"clients": 0, "servers": 0}
    with subprocess.Popen(
        argv, cwd=shop.place, env=shop.environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdin
        child.stdin.write(json.dumps(job))
        child.stdin.close()
        child.stdin = None
        while child.poll() is None:
            for row in console("SHOW POOLS"):
                if row["database"] == shop.name:
                    most["clients"] = max(most["clients"], int(row["cl_active"]) + int(row["cl_waiting"]))
                    servers = sum(int(row[f"sv_{state}"]) for state in ("active", "idle", "used", "tested", "login"))
                    most["servers"] = max(most["servers"], servers)
        out, err = child.communicate()
    assert child.returncode == 0, err
    return json.loads(out) | {"pool": most, "stderr": err}
