"""A database with tenants as its applications, its attackers and its owner see it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, connect, node, superuser  # fixtures of the infra tests, for these as well

from ansible_collections.pgstead.platform.plugins.module_utils import token

DENIED = "42501"
ENDPOINTS = ("pooled", "direct")


@dataclass
class Site:
    """One declared database with tenants.

    Args:
        name: of the database.
        tenancy: as declared, every default filled in.
        app: its app role; comes pooled and direct here.
        owner: its owner role.
        migrator: its migrator role, who acts as the owner.
        reader: its role whose declared reach is all tenants.
        reports: its readonly role whose declared reach is a tenant.
        key: what its tenant tokens are signed with, "" where a tenant is set by its id.
        a, b: two tenants, who have rows in the tables below.
    """

    name: str
    tenancy: dict[str, Any]
    app: str
    owner: str
    migrator: str
    reader: str
    reports: str
    key: str
    a: Any = None
    b: Any = None

    @property
    def column(self) -> str:
        return str(self.tenancy["column"])

    @property
    def setting(self) -> str:
        return str(self.tenancy["setting"])

    @property
    def type(self) -> str:
        return str(self.tenancy["type"])

    @property
    def schema(self) -> str:
        return str(self.tenancy["schema"])

    def set_tenant(self, tenant: Any) -> str:
        """SQL that sets a tenant's context."""
        return self.set_by(token.sign(self.key, tenant, 300) if self.key else tenant)

    def set_by(self, text: Any) -> str:
        """SQL that sets a context by whatever this is."""
        return f"SELECT {self.schema}.set_tenant('{text}')"

    def new_tenant(self) -> Any:
        """The id of a tenant that nobody is yet."""
        return str(uuid.uuid4()) if self.type in ("uuid", "text") else uuid.uuid4().int >> 66

    def policy(self, table: str) -> str:
        return f"{self.tenancy['policy_prefix']}{table}"

    @contextmanager
    def client(self, endpoint: str = "pooled", role: str = "") -> Iterator[Any]:
        """A cursor of a client of its own, in autocommit mode."""
        with closing(connect(role or self.app, endpoint, self.name)) as connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def tenant(self, tenant: Any, endpoint: str = "pooled", role: str = "") -> Iterator[Any]:
        """A cursor inside a transaction of a tenant; rolled back where the block fails."""
        with self.client(endpoint, role) as cursor:
            cursor.execute("BEGIN")
            cursor.execute(self.set_tenant(tenant))
            yield cursor
            cursor.execute("COMMIT")


def sites() -> list[Site]:
    """Every declared database with tenants."""
    found = []
    for database in DECLARED.model["databases"]:
        if database["tenancy"]:
            own = [role for role in DECLARED.model["roles"] if role["database"] == database["name"]]
            app, migrator = (next(r["name"] for r in own if r["kind"] == kind) for kind in ("app", "migrator"))
            readers = [next(r["name"] for r in own if r["reach"] == reach) for reach in ("all_tenants", "tenant")]
            key = DECLARED.secrets.get(database["tenancy"]["token"], "")
            found.append(Site(database["name"], database["tenancy"], app, database["owner"], migrator, *readers, key))
    return found


def outcome(cursor: Any, statement: str) -> tuple[str, Any]:
    """("", rows) of a statement, or (SQLSTATE, message) where it is refused."""
    try:
        cursor.execute(statement)
        return "", cursor.fetchall() if cursor.description else cursor.rowcount
    except psycopg2.Error as problem:
        return str(problem.pgcode), str(problem)


def unbound(cursor: Any, statement: str) -> None:
    """Asserts that a statement is refused for want of a tenant context, and that the client is told what to do."""
    state, message = outcome(cursor, statement)
    assert state == DENIED, (statement, state, message)
    assert "tenant context" in message and "set_tenant" in message, (statement, message)


SITES = sites()


@pytest.fixture(scope="module", params=SITES, ids=[site.name for site in SITES])
def site(request: pytest.FixtureRequest, node: Any, superuser: Any) -> Iterator[Site]:
    """A declared database; see prepared()."""
    yield from prepared(request.param, node, superuser)


def prepared(one: Site, node: Any, superuser: Any) -> Iterator[Site]:
    """A declared database behind a pool of one server connection, with rows of two tenants in two tables.

    `parents` and `children` were made by the migrator as an application's migration makes them; the guard did the rest.
    Tenant a has the parents 1 to 3, tenant b 101 to 105.
    """
    one.a, one.b = one.new_tenant(), one.new_tenant()
    pool_of(node, 1)
    with one.client("direct", one.migrator) as cursor:
        cursor.execute(f"""
            CREATE TABLE parents ({one.column} {one.type} NOT NULL, id bigint, label text,
                                  PRIMARY KEY ({one.column}, id));
            CREATE TABLE children ({one.column} {one.type} NOT NULL, id bigint, parent bigint,
                                   PRIMARY KEY ({one.column}, id),
                                   FOREIGN KEY ({one.column}, parent) REFERENCES parents ({one.column}, id)
                                   ON DELETE CASCADE);
            CREATE TABLE empties ({one.column} {one.type} NOT NULL PRIMARY KEY);
        """)
    for tenant, ids in ((one.a, range(1, 4)), (one.b, range(101, 106))):
        superuser(
            "; ".join(
                f"INSERT INTO parents VALUES ('{tenant}', {i}, 'of {tenant}');"
                f"INSERT INTO children VALUES ('{tenant}', {i}, {i})"
                for i in ids
            ),
            one.name,
        )
    yield one
    with one.client("direct", one.migrator) as cursor:
        cursor.execute("DROP TABLE children, parents, empties")
    pool_of(node, 2)


def pool_of(node: Any, size: int) -> None:
    """So many server connections per pool, for clients to meet on them; what a deploy declares is another number."""
    ini = "/etc/pgbouncer/pgbouncer.ini"
    done = node.run(
        f"sed -i 's/pool_size=[0-9]*/pool_size={size}/' {ini}"
        " && systemctl reset-failed pgbouncer && systemctl restart pgbouncer"
    )
    assert done.rc == 0 and f"pool_size={size}" in node.file(ini).content_string, done.stderr


@pytest.fixture(scope="module")
def everything(site: Site) -> Iterator[Any]:
    """A cursor that sees all rows: of the role whose declared reach is all tenants."""
    with site.client("direct", site.reader) as cursor:
        yield cursor


@pytest.fixture
def untouched(site: Site, everything: Any) -> Iterator[None]:
    """Whatever a test tried: both tenants' rows are as they were."""
    yield
    everything.execute(
        f"SELECT count(*) FILTER (WHERE label = 'of ' || {site.column}), count(*), (SELECT count(*) FROM children)"
        " FROM parents"
    )
    assert everything.fetchone() == (8, 8, 8)
