"""platform.yml against the roles' own schema: every mistake is found, named, and none is invented."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.pgstead.platform.plugins.module_utils import words
from ansible_collections.pgstead.platform.plugins.plugin_utils import shape

HOME = Path(__file__).resolve().parents[2]
SECRETS = {"app": "hunter2hunter2"}


def database(**entry: Any) -> dict[str, Any]:
    return {"databases": [{"name": "shop", **entry}]}


def role(**entry: Any) -> dict[str, Any]:
    return database(roles=[{"name": "shop_app", **entry}])


def pool(**entry: Any) -> dict[str, Any]:
    return database(pool=entry)


@pytest.fixture
def wrong(options: dict[str, Any]) -> Any:
    """wrong(declared): the problems as text."""
    return lambda declared: [str(problem) for problem in shape.check({"secrets": SECRETS, **declared}, options)]


@pytest.mark.parametrize(
    "path", sorted(HOME.glob("inventories/*/group_vars/all/platform.yml")), ids=lambda p: p.parts[-4]
)
def test_the_example_inventories_are_right(wrong: Any, path: Path) -> None:
    assert wrong(yaml.safe_load(path.read_text())) == []


GOOD = {
    "nothing declared": {},
    "a null for what may be left out": {"databases": None, "cluster_name": None},
    "numbers as text": {"postgresql_port": "5433"} | pool(size="10"),
    "the least and the most": {"postgresql_port": 65535} | pool(size=1, reserve=0),
    "lines of pg_hba.conf with a place and without": {
        "postgresql_hba": ["local all x peer", {"line": "local all y peer", "place": "before"}, {"line": "# note"}]
    },
    "limits by role": {"pgbouncer_users": {"app": {"pool_size": 3}}},
    "a name as long as PostgreSQL allows": database(owner="o" * 63),
    "words that are names when quoted": role(name="all"),
    "an extension with version": database(extensions=["vector", {"name": "pg_trgm", "version": 1.6}]),
    "a schema with owner": database(schemas=["public", {"name": "audit", "owner": "auditor"}]),
    "an expiry as YAML date": role(valid_until=yaml.safe_load("2027-01-31")),
    "an expiry as text": role(valid_until="2027-01-31 12:00:00+00:00"),
    "options of a membership": role(member_of=["staff", {"role": "staff", "set": False}]),
    "networks": {"client_networks": ["10.0.0.0/24", "fd00::/8"]},
    "no limit": role(connection_limit=-1),
    "memory as the node has it": {"postgresql_memory_mb": 0},
}


@pytest.mark.parametrize("declared", GOOD.values(), ids=GOOD)
def test_what_is_right_passes(wrong: Any, declared: dict[str, Any]) -> None:
    assert wrong(declared) == []


BAD = [
    # unknown keys, at every depth
    (database(pol={}), "databases[0].pol: found an unknown key; did you mean pool?"),
    (pool(sise=3), "databases[0].pool.sise: found an unknown key; did you mean size?"),
    (pool(xyz=3), "databases[0].pool.xyz: found an unknown key; known keys are mode, size, reserve"),
    (role(knd="app"), "databases[0].roles[0].knd: found an unknown key; did you mean kind?"),
    (role(privileges=[{"tabels": []}]), "roles[0].privileges[0].tabels: found an unknown key; did you mean tables?"),
    (
        database(schemas=[{"name": "a", "ownr": "b"}]),
        "databases[0].schemas[0]: found {'name': 'a', 'ownr': 'b'}; unknown",
    ),
    (
        database(extensions=[{"version": "1"}]),
        "databases[0].extensions[0]: found {'version': '1'}; write a name, or {name",
    ),
    # types
    ({"databases": {"name": "shop"}}, "databases: found {'name': 'shop'}; write a list"),
    ({"databases": ["shop"]}, "databases[0]: found 'shop'; write a mapping"),
    ({"postgresql_port": "http"}, "postgresql_port: found 'http'; write a whole number"),
    ({"postgresql_port": True}, "postgresql_port: found true; write a whole number"),
    ({"postgresql_prune": "perhaps"}, "postgresql_prune: found 'perhaps'; write true or false"),
    ({"postgresql_minor": 16.4}, "postgresql_minor: found 16.4; write a text (in quotes"),
    (pool(size=2.5), "databases[0].pool.size: found 2.5; write a whole number"),
    # what is required
    ({"databases": [{}]}, "databases[0].name: found nothing; it is required: Letters"),
    ({"databases": [{"name": None}]}, "databases[0].name: found nothing; write a text"),
    ({"secrets": None}, "secrets: found nothing; write a mapping"),
    # ranges
    (pool(size=-1), "databases[0].pool.size: found -1; write a number from 1 to 10000 server connections"),
    (pool(size=0), "databases[0].pool.size: found 0; write a number from 1"),
    (pool(min_pool_size=-1), "databases[0].pool.min_pool_size: found -1; write a number from 0"),
    (pool(max_db_client_connections=0), "databases[0].pool.max_db_client_connections: found 0; write a number from 1"),
    (
        pool(connect_query="SELECT 1;\nSELECT 2"),
        "databases[0].pool.connect_query: found 'SELECT 1;\\nSELECT 2'; write SQL",
    ),
    (
        {"postgresql_hba": [{"line": "x", "place": "first"}]},
        "postgresql_hba[0]: found {'line': 'x', 'place': 'first'}; write",
    ),
    ({"postgresql_hba": ["a\nb"]}, "postgresql_hba[0]: found 'a\\nb'; write a line of pg_hba.conf, or {line, place}"),
    ({"pgbouncer_users": {"app": 5}}, "pgbouncer_users: found {'app': 5}; write limits by role"),
    (pool(reserve=-1), "databases[0].pool.reserve: found -1; write a number from 0"),
    ({"postgresql_port": 0}, "postgresql_port: found 0; write a number from 1 to 65535"),
    ({"pgbouncer_port": 65536}, "pgbouncer_port: found 65536; write a number from 1 to 65535"),
    ({"postgresql_memory_mb": 255}, "postgresql_memory_mb: found 255; write 0, or at least 256"),
    ({"postgresql_max_connections": 9}, "postgresql_max_connections: found 9; write 0, or at least 10"),
    ({"postgresql_scram_iterations": 4095}, "postgresql_scram_iterations: found 4095; write a number from 4096"),
    (role(connection_limit=-2), "databases[0].roles[0].connection_limit: found -2; write a number from -1"),
    # names
    ({"cluster_name": "Main"}, "cluster_name: found 'Main'; write lower-case letters"),
    ({"postgresql_instance": "a/b"}, "postgresql_instance: found 'a/b'; write letters"),
    (role(name='a"b'), "databases[0].roles[0].name: found 'a\"b'; write a name of letters"),
    (role(name="a'b"), 'databases[0].roles[0].name: found "a\'b"; write a name of letters'),
    (role(name="r" * 70), "...; write a name of letters"),
    (role(name="r" * 64), "; write a name of letters"),
    (role(name="app\n"), "; write a name of letters"),
    (role(name=""), "databases[0].roles[0].name: found ''; write a name of letters"),
    (role(name="9lives"), "; write a name of letters"),
    (role(name="postgres"), "found 'postgres'; this name belongs to PostgreSQL or the pooler"),
    (role(name="pg_monitor"), "found 'pg_monitor'; this name belongs to PostgreSQL or the pooler"),
    (role(name="pgbouncer"), "this name belongs to PostgreSQL or the pooler"),
    (role(name="pgstead_guard_shop"), "names that begin with pgstead_ are pgstead's own"),
    ({"cluster_roles": [{"name": "public"}]}, "cluster_roles[0].name: found 'public'; this name belongs"),
    (database(owner="postgres"), "databases[0].owner: found 'postgres'; this name belongs"),
    ({"databases": [{"name": "template1"}]}, "databases[0].name: found 'template1'; this name belongs"),
    # forms
    ({"client_networks": ["10.0.0.5/24"]}, "client_networks[0]: found '10.0.0.5/24'; write a network in CIDR form"),
    ({"client_networks": ["0.0.0.0/0"]}, "client_networks[0]: found '0.0.0.0/0'; this is the whole internet"),
    ({"client_networks": ["::/0"]}, "client_networks[0]: found '::/0'; this is the whole internet"),
    ({"client_networks": "10.0.0.0/24"}, "client_networks: found '10.0.0.0/24'; write a list"),
    ({"postgresql_minor": "16"}, "postgresql_minor: found '16'; write a minor version like 16.14"),
    (role(valid_until="next year"), "roles[0].valid_until: found 'next year'; write a date"),
    # choices
    ({"postgresql_version": 14}, "postgresql_version: found 14; write one of 15, 16, 17, 18"),
    (role(kind="reedonly"), "found 'reedonly'; write one of app, migrator, readonly, custom (did you mean readonly?)"),
    (
        role(endpoints=["pool"]),
        "roles[0].endpoints[0]: found 'pool'; write one of pooled, direct (did you mean pooled?)",
    ),
    (role(privileges=[{"tables": ["ALL"]}]), "privileges[0].tables[0]: found 'ALL'; write one of SELECT"),
]


@pytest.mark.parametrize(("declared", "said"), BAD, ids=[said[:60] for _, said in BAD])
def test_a_mistake_is_told_with_its_place_and_what_to_write(wrong: Any, declared: dict[str, Any], said: str) -> None:
    problems = wrong(declared)
    assert len(problems) == 1
    assert said in problems[0]


def test_everything_wrong_is_told_at_once_each_thing_once(wrong: Any) -> None:
    declared = {"cluster_name": "Main", "postgresql_port": 0} | database(
        pol={}, pool={"size": 0}, roles=[{"name": "postgres"}, {"kind": "app"}]
    )
    paths = {problem.split(": found ")[0] for problem in wrong(declared)}
    assert paths == {
        "cluster_name",
        "postgresql_port",
        "databases[0].pol",
        "databases[0].pool.size",
        "databases[0].roles[0].name",
        "databases[0].roles[1].name",
    }
    assert len(wrong(declared)) == 6


def test_documentation_markup_stays_out_of_messages(options: dict[str, Any]) -> None:
    (problem,) = shape.check({}, options)
    assert problem.path == "secrets"
    assert "scram_salt_key" in problem.expected
    assert "C(" not in problem.expected


@pytest.mark.parametrize(
    "declared",
    [
        {"secrets": "hunter2hunter2"},
        {"secrets": ["hunter2hunter2"]},
        {"secrets": [{"app": "hunter2hunter2"}]},
        {"postgresql_passwords": "hunter2hunter2"},
        role(password="hunter2hunter2"),
        role(secrt="hunter2hunter2"),
    ],
    ids=["a text", "a list", "a list of mappings", "of a role", "in platform.yml", "misspelt key"],
)
def test_a_secret_in_the_wrong_form_is_found_and_never_shown(wrong: Any, declared: dict[str, Any]) -> None:
    problems = wrong(declared)
    assert problems
    assert "hunter2" not in "".join(problems)


@pytest.mark.parametrize(
    ("name", "expected"), [("databses", "databases"), ("postgresql_prot", "postgresql_port"), ("zebra", "")]
)
def test_the_nearest_name_is_found_where_there_is_one(options: dict[str, Any], name: str, expected: str) -> None:
    assert words.nearest(name, list(options)) == expected


def test_long_values_are_shortened() -> None:
    assert shape.shown("x" * 500) == "'" + "x" * 56 + "..."
    assert shape.shown("x" * 50) == "'" + "x" * 50 + "'"
