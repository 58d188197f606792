"""The database with tenants of isolation.py, vectors.py and guard.py: files/tenants.yml in place of platform.yml's."""

from __future__ import annotations

from collections.abc import Mapping

from bench import pgbench
from bench.figures import require
from bench.nodes import BIN, HERE, SOCKET, Node, Site

APP, FREE = "bench_app", "bench_readonly"  # policies act on the one and not on the other
SUPERUSER = {"PGHOST": SOCKET, "PGUSER": "postgres"}


def deploy(made: Site, node: str, declared: str = "tenants", *options: str) -> None:
    """Deploys a node with this declaration, or another one of bench/files."""
    made.deploy("-l", node, "-e", f"@{HERE / 'files' / f'{declared}.yml'}", *options)


def script(name: str) -> str:
    """SQL of bench/files."""
    return (HERE / "files" / f"{name}.sql").read_text()


def psql(node: Node, sql: str, env: Mapping[str, str] = SUPERUSER, **variables: str) -> str:
    """Output of SQL, unaligned and without headers, run by the superuser or by whoever `env` says."""
    given = [part for name, value in variables.items() for part in ("-v", f"{name}={value}")]
    argv = (f"{BIN}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *given, "-d", pgbench.DATABASE)
    environment = {"PGOPTIONS": "-c client_min_messages=error"} | dict(env)
    return node.run(*argv, user="postgres", env=environment, stdin=sql.encode()).strip()


def coming_as(made: Site, role: str, *, pooled: bool) -> dict[str, str]:
    """libpq's variables for a role: through the pooler over TLS, or by the server's socket, where least is added."""
    way = pgbench.coming_as(next(iter(made.urls(role).values())))
    if pooled:
        return way | {"PGPORT": "6432"}
    return way | {"PGHOST": SOCKET, "PGPORT": "5432", "PGSSLMODE": "disable"}


def require_isolation(node: Node) -> None:
    """Every table is protected as shipped, and of the two roles it is the right one that policies act on.

    Raises:
        PreconditionError: that does not hold.
    """
    bare = psql(node, "SELECT count(*) FROM app.isolation_problems() WHERE kind IN ('enabled', 'forced', 'policy')")
    require(bare == "0", f"{bare} protections of tables are missing")
    free = psql(node, "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname ~ '^bench_' AND rolbypassrls")
    require(free == FREE, f"no policy acts on {free!r}; what is measured against is {FREE}")
