"""A schema project is deployed change by change, as far as it holds; the reference application keeps its promises."""
# ruff: noqa: F811  - fixtures are imported, and arguments are named after them

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, HOME, ask, connect, node, playbook, refused, superuser, verify_lines  # noqa: F401
from wrong import deploy, inventory

from ansible_collections.pgstead.platform.plugins.module_utils import sqitch

NUMBER, ENTRY = next((i, db) for i, db in enumerate(DECLARED.model["databases"]) if db["name"] == "autolytiq")
DATABASE, OWNER, PROJECT = ENTRY["name"], ENTRY["owner"], ENTRY["schema_project"]
LAST = sqitch.parse(sqitch.read(HOME / PROJECT)).changes[-1].name
APP = next(r["name"] for r in DECLARED.model["roles"] if r["database"] == DATABASE and r["kind"] == "app")
READONLY = next(r for r in DECLARED.model["roles"] if r["database"] == DATABASE and r["kind"] == "readonly")
Superuser = Callable[..., str]

# ---- the role ---------------------------------------------------------------------------------------------------

DEPLOYED = "SELECT string_agg(change, ' ' ORDER BY committed_at) FROM sqitch.changes"


def add(project: Path, name: str, sql: str, verify: str = "SELECT 1;") -> None:
    """A further change at the plan's end; an earlier one of that name gets other scripts."""
    plan = project / "sqitch.plan"
    if f"\n{name} " not in plan.read_text():
        with plan.open("a") as file:
            file.write(f"{name} 2026-11-24T00:00:00Z tests <tests@localhost> # {name}\n")
    for part, text, end in (
        ("deploy", sql, "COMMIT"),
        ("verify", verify, "ROLLBACK"),
        ("revert", f"DROP TABLE {name};", "COMMIT"),
    ):
        (project / part / f"{name}.sql").write_text(f"BEGIN;\n{text}\n{end};\n")


def on_node(node: Any, command: str) -> Any:
    """A command in the project's directory on the node, acting as the owner role, as the role's README has it."""
    return node.run(
        "cd /var/lib/pgstead/schemas/%s && runuser -u postgres -- env PGHOST=/var/run/postgresql PGPORT=%s "
        "PGOPTIONS='-c role=%s' sh -c %s",
        DATABASE, str(DECLARED.ports["direct"]), OWNER, command,
    )  # fmt: skip


def state(superuser: Superuser, node: Any) -> tuple[str, str]:
    """What is deployed, and what the project on the node is."""
    files = node.check_output("cd /var/lib/pgstead/schemas && find . -type f | sort | xargs sha256sum | sha256sum")
    return superuser(DEPLOYED, DATABASE), files


@pytest.fixture
def copied(tmp_path: Path, superuser: Superuser, node: Any) -> Iterator[tuple[Path, Path]]:
    """The inventory with a copy of the project beside it, and that copy; what was deployed from it is reverted."""
    where, before = inventory(tmp_path, {}), state(superuser, node)
    shutil.copytree(HOME / PROJECT, where / PROJECT)
    yield where, where / PROJECT
    if state(superuser, node) != before:
        done = on_node(node, f"sqitch revert -y --to {before[0].split()[-1]} db:pg:{DATABASE}")
        assert done.rc == 0 or "No changes deployed since" in done.stdout + done.stderr, done.stdout + done.stderr
        assert playbook("site", "--tags", "schema")["rc"] == 0
        assert state(superuser, node) == before


def test_everything_is_deployed_and_a_second_deploy_changes_nothing(superuser: Superuser) -> None:
    plan = sqitch.parse(sqitch.read(HOME / PROJECT))
    assert superuser(DEPLOYED, DATABASE).split() == [change.name for change in plan.changes]
    run = playbook("site", "--tags", "schema")
    assert (run["rc"], run["changed"]) == (0, 0)


def test_the_owner_role_has_made_everything_and_nobody_else_can_write_the_project(
    superuser: Superuser, node: Any
) -> None:
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'auth', 'sqitch')"
    assert superuser(owners, DATABASE) == OWNER
    assert node.check_output("find /var/lib/pgstead/schemas ! -user root -o ! -type l -perm /022") == ""
    assert node.run("runuser -u postgres -- cat /var/lib/pgstead/schemas/%s/sqitch.plan", DATABASE).rc == 0


def test_check_says_what_would_be_deployed_and_changes_nothing(
    copied: tuple[Path, Path], superuser: Superuser, node: Any
) -> None:
    where, project = copied
    add(project, "extra_one", "CREATE TABLE extra_one ();")
    before = state(superuser, node)
    done = deploy(where, "--tags", "schema", "--check")
    assert done.returncode == 0, done.stderr
    assert "+autolytiq: extra_one" in done.stderr + done.stdout
    assert "+autolytiq: customers" not in done.stderr + done.stdout
    assert state(superuser, node) == before


def test_a_project_that_fails_half_way_stays_there_and_goes_on_after_repair(
    copied: tuple[Path, Path], superuser: Superuser
) -> None:
    where, project = copied
    add(project, "extra_one", "CREATE TABLE extra_one ();", "SELECT 'extra_one'::regclass;")
    add(project, "extra_two", "CREATE TABLE extra_two ();\nINSERT INTO nowhere VALUES (1);")
    add(project, "extra_three", "CREATE TABLE extra_three ();")
    done = deploy(where, "--tags", "schema")
    assert done.returncode != 0
    for text in ("change extra_two failed", "the last verified change, extra_one", 'relation "nowhere" does not exist'):
        assert text in done.stderr, done.stderr
    assert superuser(DEPLOYED, DATABASE).split()[-1] == "extra_one"
    assert superuser("SELECT to_regclass('extra_two') IS NULL", DATABASE) == "t"
    add(project, "extra_two", "CREATE TABLE extra_two ();")
    assert deploy(where, "--tags", "schema").returncode == 0
    assert superuser(DEPLOYED, DATABASE).split()[-3:] == ["extra_one", "extra_two", "extra_three"]


def test_a_change_that_does_not_verify_is_taken_back(copied: tuple[Path, Path], superuser: Superuser) -> None:
    where, project = copied
    add(project, "extra_one", "CREATE TABLE extra_one ();", "SELECT 'extra_other'::regclass;")
    done = deploy(where, "--tags", "schema")
    assert done.returncode != 0
    for text in ("change extra_one failed", 'relation "extra_other" does not exist', "verify/extra_one.sql"):
        assert text in done.stderr, done.stderr
    assert superuser("SELECT to_regclass('extra_one') IS NULL", DATABASE) == "t"


def edit(project: Path) -> None:
    script = project / "deploy" / "customers.sql"
    script.write_text(script.read_text() + "-- edited\n")


def forget(project: Path) -> None:
    plan = project / "sqitch.plan"
    plan.write_text("".join(plan.read_text().splitlines(True)[:-1]))


def insert(project: Path) -> None:
    add(project, "extra_one", "CREATE TABLE extra_one ();")
    lines = (project / "sqitch.plan").read_text().splitlines(True)
    (project / "sqitch.plan").write_text("".join([*lines[:3], lines[-1], *lines[3:-1]]))


def rename(project: Path) -> None:
    plan = project / "sqitch.plan"
    plan.write_text(plan.read_text().replace("%project=autolytiq", "%project=other"))


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        (edit, (), "edited after it was deployed: deploy/customers.sql; nobody would run it again"),
        (forget, ("--check",), f"deployed, but not in sqitch.plan: {LAST}"),
        (insert, ("--check",), "sqitch.plan has extra_one where foundation was deployed"),
        (rename, (), "the database has the sqitch project autolytiq, declared is other"),
    ],
)
def test_a_project_that_does_not_fit_is_refused_before_anything_is_changed(
    change: Any, arguments: tuple[str, ...], said: str, copied: tuple[Path, Path], superuser: Superuser, node: Any
) -> None:
    where, project = copied
    change(project)
    before = state(superuser, node)
    done = deploy(where, "--tags", "schema", *arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Nothing was changed" in done.stderr
    assert state(superuser, node) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no such directory"), ("", "has no sqitch.plan"), ("%project=x\nhello\n", "line 2: 'hello'")],
    ids=["no directory", "no plan", "no plan's line"],
)
def test_a_directory_that_is_no_project_is_refused_by_preflight(content: str | None, said: str, tmp_path: Path) -> None:
    where = inventory(tmp_path, {f"databases.{NUMBER}.schema_project": "schemas/shop"})
    if content is not None:
        (where / "schemas/shop").mkdir(parents=True)
    if content:
        (where / "schemas/shop/sqitch.plan").write_text(content)
    done = deploy(where)
    assert done.returncode == 3
    for text in (f"databases[{NUMBER}].schema_project", "'schemas/shop'", said, "nothing was changed"):
        assert text in done.stderr, done.stderr


def test_verify_is_green_and_sees_what_was_changed_by_hand(superuser: Superuser) -> None:
    area = f"database {DATABASE}"
    titles = {
        "is at the last change of autolytiq", "was deployed from the scripts as they are",
        "holds what its verify scripts demand",
    }  # fmt: skip
    assert {line["title"] for line in verify_lines() if line["area"] == area and line["ok"]} >= titles
    superuser("ALTER TRIGGER touch_updated_at ON customers RENAME TO elsewhere", DATABASE)
    try:
        red = [(line["title"], line["found"]) for line in verify_lines() if line["area"] == area and not line["ok"]]
    finally:
        superuser("ALTER TRIGGER elsewhere ON customers RENAME TO touch_updated_at", DATABASE)
    assert [title for title, _ in red] == ["holds what its verify scripts demand"]
    assert "customers.updated_at is not kept" in red[0][1]


@pytest.fixture
def scratch(superuser: Superuser, node: Any) -> Iterator[str]:
    """A copy of the database, with the registry and all."""
    superuser(f'CREATE DATABASE scratch OWNER "{OWNER}"')
    try:
        # Of the server's version, whatever else is installed: a later one writes settings that this one does not know.
        cluster = DECLARED.instance.replace("-", "/", 1)
        copy = f"pg_dump {DATABASE} | psql -Xqv ON_ERROR_STOP=1 scratch"
        done = node.run(f"runuser -u postgres -- env PGCLUSTER={cluster} sh -c %s", copy)
        assert done.rc == 0, done.stderr
        yield "scratch"
    finally:
        superuser("DROP DATABASE scratch")


def test_every_verify_script_misses_its_change_and_every_revert_script_takes_it_back(node: Any, scratch: str) -> None:
    changes = [change.name for change in sqitch.parse(sqitch.read(HOME / PROJECT)).changes]

    def held(change: str) -> bool:
        script = f"psql -XqAt -v ON_ERROR_STOP=1 -d {scratch} -f verify/{change}.sql"
        return bool(on_node(node, script).rc == 0)

    def state_of_scratch() -> str:
        dumped = on_node(node, f"pg_dump -s -N sqitch {scratch}").stdout
        return "".join(line for line in dumped.splitlines(True) if not line.startswith("\\"))  # pg_dump's own key

    states = {changes[-1]: state_of_scratch()}
    for change, before in zip(reversed(changes), [*reversed(changes[:-1]), ""], strict=True):
        assert held(change), change
        done = on_node(node, f"sqitch revert -y {before and f'--to {before}'} db:pg:{scratch}")
        assert done.rc == 0, done.stdout + done.stderr
        states[before] = state_of_scratch()
        assert not held(change), change
    for change in changes:
        done = on_node(node, f"sqitch deploy --verify --to {change} db:pg:{scratch}")
        assert done.rc == 0, done.stdout + done.stderr
        assert state_of_scratch() == states[change]


# ---- the reference application -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tenants(superuser: Superuser) -> Iterator[list[str]]:
    """Two dealerships; they and all their rows go at the end."""
    found = superuser("INSERT INTO dealerships (name) VALUES ('North'), ('South') RETURNING id", DATABASE).split()
    yield found
    those = f"({', '.join(repr(tenant) for tenant in found)})"
    for table in ("deals", "customers", "vehicles", "users", "knowledge_base"):
        superuser(f"DELETE FROM {table} WHERE dealership_id IN {those}", DATABASE)
    superuser(f"DELETE FROM dealerships WHERE id IN {those}", DATABASE)


def within(tenant: str, *statements: str, role: str = APP, endpoint: str = "pooled") -> list[tuple[Any, ...]]:
    """Statements in one transaction of a tenant; the rows of the last."""
    with closing(connect(role, endpoint, DATABASE)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT app.set_tenant(%s)", [tenant])
        for statement in statements:
            cursor.execute(statement)
        rows = list(cursor.fetchall()) if cursor.description else []
        cursor.execute("COMMIT")
        return rows


def state_of(tenant: str, statement: str) -> str:
    """SQLSTATE and constraint with which a statement of a tenant is refused."""
    with pytest.raises(psycopg2.Error) as raised:
        within(tenant, statement)
    return f"{raised.value.pgcode} {raised.value.diag.constraint_name or ''}".strip()


CUSTOMER = "INSERT INTO customers (first_name, last_name, email) VALUES ('Ann', 'Lee', {}) RETURNING id"
USER = "INSERT INTO users (email, full_name) VALUES ('{}', 'Somebody') RETURNING id"
VEHICLE = "INSERT INTO vehicles (vin, model_year, make, model) VALUES ('{}', 2003, 'Honda', 'Accord') RETURNING id"


@pytest.mark.parametrize("vin", ["1HGCM82633A004352", "1M8GDM9AXKP042788", "11111111111111111", "5GZCZ43D13S812715"])
def test_a_right_vin_is_taken_once_per_dealership(vin: str, tenants: list[str]) -> None:
    for tenant in tenants:
        assert within(tenant, VEHICLE.format(vin))
    assert state_of(tenants[0], VEHICLE.format(vin)) == "23505 vehicles_dealership_id_vin_key"


@pytest.mark.parametrize(
    ("vin", "constraint"),
    [
        ("1HGCM82633A004353", "vehicles_vin_check_digit"),  # the last digit is another
        ("1HGCM82643A004352", "vehicles_vin_check_digit"),  # the check digit is
        ("1HGCM82X33A004352", "vehicles_vin_check_digit"),
        ("1HGCM82633A00435", "vehicles_vin_form"),
        ("1HGCM82633A0043522", "vehicles_vin_form"),
        ("1hgcm82633a004352", "vehicles_vin_form"),
        ("IHGCM82633A004352", "vehicles_vin_form"),  # I, O and Q are none of a VIN's letters
        ("", "vehicles_vin_form"),
    ],
)
def test_a_wrong_vin_is_refused(vin: str, constraint: str, tenants: list[str]) -> None:
    assert state_of(tenants[0], VEHICLE.format(vin)) == f"23514 {constraint}"


def test_the_history_of_a_deal_is_every_status_it_had(tenants: list[str]) -> None:
    tenant = tenants[0]
    ((customer,),) = within(tenant, CUSTOMER.format("NULL"))
    ((deal,),) = within(tenant, f"INSERT INTO deals (customer_id) VALUES ('{customer}') RETURNING id")
    within(
        tenant,
        f"UPDATE deals SET status = 'quoted' WHERE id = '{deal}'",
        f"UPDATE deals SET status = 'quoted', sale_price = 12345.67 WHERE id = '{deal}'",
        f"UPDATE deals SET status = 'approved' WHERE id = '{deal}'",
    )
    history = f"SELECT from_status, to_status FROM deal_status_history WHERE deal_id = '{deal}' ORDER BY changed_at"
    assert within(tenant, history) == [(None, "draft"), ("draft", "quoted"), ("quoted", "approved")]
    assert within(tenants[1], history) == []
    assert state_of(tenant, f"UPDATE deals SET status = 'done' WHERE id = '{deal}'") == "23514 deals_status_check"
    for by_hand in (
        f"INSERT INTO deal_status_history (deal_id, to_status) VALUES ('{deal}', 'delivered')",
        f"UPDATE deal_status_history SET to_status = 'delivered' WHERE deal_id = '{deal}'",
        f"DELETE FROM deal_status_history WHERE deal_id = '{deal}'",
    ):
        assert state_of(tenant, by_hand) == "42501"
    # The trigger that refuses runs past all policies where a deal is deleted: it reads no table, and changes none.
    everybodys = "SELECT count(*) FROM deal_status_history"
    ((customer,),) = within(tenants[1], CUSTOMER.format("NULL"))
    within(tenants[1], f"INSERT INTO deals (customer_id) VALUES ('{customer}')")
    before = within(tenants[1], everybodys)
    assert within(tenant, f"DELETE FROM deals WHERE id = '{deal}'", history) == []
    assert within(tenants[1], everybodys) == before != [(0,)]


def test_a_reference_never_leaves_the_tenant(tenants: list[str]) -> None:
    ((customer,),) = within(tenants[1], CUSTOMER.format("NULL"))
    stolen = f"INSERT INTO deals (customer_id) VALUES ('{customer}')"
    assert state_of(tenants[0], stolen) == "23503 deals_dealership_id_customer_id_fkey"
    assert within(tenants[1], f"{stolen} RETURNING status") == [("draft",)]


@pytest.mark.parametrize(("statement", "index"), [(USER, "users_email"), (CUSTOMER, "customers_email")])
def test_an_email_is_unique_per_dealership_whatever_its_case(statement: str, index: str, tenants: list[str]) -> None:
    first, again = ("ann@example.com", "Ann@Example.com")
    if statement is CUSTOMER:
        first, again = repr(first), repr(again)
    for tenant in tenants:
        assert within(tenant, statement.format(first))
        assert state_of(tenant, statement.format(again)) == f"23505 {index}"


def test_updated_at_is_kept(tenants: list[str]) -> None:
    ((customer,),) = within(tenants[0], CUSTOMER.format("NULL"))
    of = f"customers WHERE id = '{customer}'"
    assert within(tenants[0], f"SELECT updated_at = created_at FROM {of}") == [(True,)]
    within(tenants[0], f"UPDATE customers SET notes = 'called', updated_at = '2000-01-01' WHERE id = '{customer}'")
    assert within(tenants[0], f"SELECT updated_at > created_at FROM {of}") == [(True,)]


def find(email: str) -> set[tuple[str, str]]:
    """What a client without tenant finds."""
    return set(ask(APP, "pooled", DATABASE, f"SELECT * FROM app.find_login('{email}')"))


def test_logging_in_works_before_the_tenant_is_known_and_tells_two_ids(tenants: list[str]) -> None:
    with closing(connect(APP, "pooled", DATABASE)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM app.find_login('nobody@example.com')")
        assert [column.name for column in cursor.description or []] == ["dealership_id", "user_id"]
    assert refused(APP, "pooled", DATABASE, "SELECT * FROM users") == "42501"
    ids = [within(tenant, USER.format("Bob@Example.com"))[0][0] for tenant in tenants]
    both = set(zip(tenants, ids, strict=True))
    assert find("bob@example.com") == find("BOB@example.com") == both
    assert find("bob@example.co") == set()
    of = f"WHERE id = '{ids[0]}'"
    within(tenants[0], f"UPDATE users SET email = 'robert@example.com' {of}")
    assert (find("bob@example.com"), find("robert@example.com")) == ({(tenants[1], ids[1])}, {(tenants[0], ids[0])})
    within(tenants[0], f"UPDATE users SET is_active = false {of}")
    assert find("robert@example.com") == set()
    within(tenants[0], f"UPDATE users SET is_active = true {of}")
    assert find("robert@example.com") == {(tenants[0], ids[0])}
    within(tenants[0], f"DELETE FROM users {of}")
    assert find("robert@example.com") == set()


def test_nobody_reads_or_writes_the_logins_and_only_the_application_may_ask(superuser: Superuser) -> None:
    for statement in ("SELECT * FROM auth.logins", "DELETE FROM auth.logins", "SELECT auth.keep_logins()"):
        assert refused(APP, "pooled", DATABASE, statement) == "42501"
        assert refused(READONLY["name"], READONLY["endpoints"][0], DATABASE, statement) == "42501"
    ask_it = "SELECT * FROM app.find_login('bob@example.com')"
    assert refused(READONLY["name"], READONLY["endpoints"][0], DATABASE, ask_it) == "42501"
    public = """
        SELECT count(*) FROM pg_proc AS p
        CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
        WHERE p.pronamespace IN ('app'::regnamespace, 'auth'::regnamespace) AND a.grantee = 0
          AND pg_get_userbyid(p.proowner) = '{}'"""
    assert superuser(public.format(OWNER), DATABASE) == "0"


def test_logins_are_looked_up_as_often_as_a_form_needs_and_no_more() -> None:
    """Not in one statement, and not where each guess is taken back; a moment later the next one is answered."""
    guess = "SELECT count(f) FROM generate_series(1, 1000) AS i, app.find_login('nobody' || i || '@example.com') AS f"
    assert refused(APP, "pooled", DATABASE, guess) == "53400"
    guesses = """
        DO $$ DECLARE answered int := 0; BEGIN
          FOR i IN 1..1000 LOOP
            BEGIN
              PERFORM app.find_login('nobody' || i || '@example.com');
              answered := answered + 1;
              RAISE EXCEPTION 'so that it never happened';
            EXCEPTION WHEN OTHERS THEN
            END;
          END LOOP;
          RAISE EXCEPTION '% answered', answered;
        END $$"""
    time.sleep(1)
    with pytest.raises(psycopg2.Error, match=r"^\d\d? answered"):
        ask(APP, "pooled", DATABASE, guesses)
    time.sleep(1)
    assert find("nobody@example.com") == set()
    assert refused(APP, "pooled", DATABASE, "SELECT setval('auth.answered', 1)") == "42501"


def test_truncating_users_leaves_no_login(superuser: Superuser, tenants: list[str]) -> None:
    within(tenants[0], USER.format("carl@example.com"))
    left = superuser("BEGIN; TRUNCATE users CASCADE; SELECT count(*) FROM auth.logins; ROLLBACK", DATABASE)
    assert left == "0"
    assert len(find("carl@example.com")) == 1


def vector(*values: float) -> str:
    return json.dumps([*values, *[0.0] * (1536 - len(values))])


def test_knowledge_is_found_by_meaning_filter_and_tenant(tenants: list[str]) -> None:
    insert = "INSERT INTO knowledge_base (content, embedding, metadata) VALUES ('{}', {}, '{}')"
    within(
        tenants[0],
        insert.format("same", repr(vector(1, 0)), '{"kind": "faq"}'),
        insert.format("near", repr(vector(1, 1)), '{"kind": "manual"}'),
        insert.format("far", repr(vector(0, 1)), '{"kind": "faq"}'),
        insert.format("not embedded yet", "NULL", '{"kind": "faq"}'),
    )
    within(tenants[1], insert.format("of another", repr(vector(1, 0)), "{}"))
    match = f"SELECT content, round(similarity::numeric, 2)::float FROM app.match_knowledge('{vector(1, 0)}'"
    assert within(tenants[0], f"{match})") == [("same", 1.0), ("near", 0.71), ("far", 0.0)]
    assert within(tenants[0], f"{match}, 1)") == [("same", 1.0)]
    assert within(tenants[0], f"""{match}, filter => '{{"kind": "faq"}}')""") == [("same", 1.0), ("far", 0.0)]
    assert refused(APP, "pooled", DATABASE, f"{match})") == "42501"
    plan = "\n".join(row[0] for row in within(tenants[0], f"EXPLAIN {match})"))
    assert "Function Scan" not in plan, plan


def test_the_search_uses_an_index_on_embeddings_where_there_is_one(superuser: Superuser, tenants: list[str]) -> None:
    plan = superuser(
        f"""BEGIN; CREATE INDEX by_hnsw ON knowledge_base USING hnsw (embedding vector_cosine_ops);
        SET LOCAL ROLE "{APP}"; SELECT app.set_tenant('{tenants[0]}'); SET LOCAL enable_sort = off;
        EXPLAIN SELECT content FROM app.match_knowledge('{vector(1, 0)}'); ROLLBACK""",
        DATABASE,
    )
    assert "Index Scan using by_hnsw" in plan, plan


def test_the_documents_indexes_are_there_by_their_names(superuser: Superuser) -> None:
    on = "regexp_replace(indexdef, '.* ON public.(.*) USING btree', '\\1')"
    query = f"SELECT indexname || ' ' || {on} FROM pg_indexes WHERE indexname LIKE 'idx\\_%' ORDER BY 1"
    assert superuser(query, DATABASE).splitlines() == [
        "idx_customers_dealership customers (dealership_id)",
        "idx_deals_customer deals (customer_id)",
        "idx_deals_dealership deals (dealership_id)",
        "idx_deals_dealership_created deals (dealership_id, created_at DESC)",
        "idx_deals_dealership_status deals (dealership_id, status)",
        "idx_deals_status deals (status)",
        "idx_knowledge_base_dealership knowledge_base (dealership_id)",
        "idx_vehicles_dealership vehicles (dealership_id)",
        "idx_vehicles_vin vehicles (vin)",
    ]


@pytest.fixture(scope="module")
def traded(superuser: Superuser, tenants: list[str]) -> list[str]:
    """The second dealership has customers with deals, and vehicles; so has the first one, others."""
    for number, tenant in enumerate(tenants):
        superuser(
            f"""INSERT INTO customers (dealership_id, first_name, last_name)
                SELECT '{tenant}', 'Ann', 'Lee' FROM generate_series(1, 300);
            INSERT INTO deals (dealership_id, customer_id, status)
                SELECT dealership_id, id, CASE WHEN i > 1 AND {number} = 1 THEN 'approved' ELSE 'draft' END
                FROM customers, generate_series(1, 3) AS i WHERE dealership_id = '{tenant}' AND first_name = 'Ann';
            INSERT INTO vehicles (dealership_id, vin, model_year, make, model)
                SELECT '{tenant}', overlay(v PLACING app.vin_check_digit(v) FROM 9), 2003, 'Honda', 'Accord'
                FROM (SELECT '2HGCM826033' || ({number} * 500000 + i) FROM generate_series(100001, 101000) i) AS t (v);
            ANALYZE customers, deals, vehicles""",
            DATABASE,
        )
    return tenants


LOOKUPS = {
    "idx_customers_dealership": "customers WHERE dealership_id = '{other}'",
    "idx_deals_customer": "deals WHERE customer_id = "
    "(SELECT customer_id FROM deals WHERE dealership_id = '{other}' LIMIT 1)",
    "idx_deals_dealership": "deals WHERE dealership_id = '{other}'",
    "idx_deals_status": "deals WHERE status = 'approved'",
    "idx_vehicles_dealership": "vehicles WHERE dealership_id = '{other}'",
    "idx_vehicles_vin": "vehicles WHERE vin = "
    "(SELECT vin FROM vehicles WHERE dealership_id = '{other}' AND vin LIKE '2HG%' LIMIT 1)",
    "idx_deals_dealership_status": "deals WHERE dealership_id = '{other}' AND status = 'approved'",
    "idx_deals_dealership_created": "deals WHERE dealership_id = '{other}' ORDER BY created_at DESC LIMIT 1",
}


def plan_of(superuser: Superuser, tenants: list[str], query: str) -> str:
    """EXPLAIN ANALYZE as the first dealership, for values that the second one has: a subquery is asked beforehand."""
    query = query.format(other=tenants[1])
    if "(SELECT" in query:
        known, _, subquery = query.partition("(")
        value = superuser(subquery.removesuffix(")"), DATABASE)
        query = f"{known}'{value}'"
    rows = within(tenants[0], f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT * FROM {query}")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("query", LOOKUPS.values(), ids=LOOKUPS)
def test_explain_tells_no_dealership_what_another_one_has(query: str, superuser: Superuser, traded: list[str]) -> None:
    plan = plan_of(superuser, traded, query)
    assert "actual rows=0" in plan or "never executed" in plan, plan
    # Of what an index found by the tenant, rows of its own are removed.
    own = "Index Cond: (dealership_id = app.tenant_id())"
    assert "Rows Removed by Filter" not in plan or own in plan, plan


def test_by_a_primary_key_it_does(superuser: Superuser, traded: list[str]) -> None:
    """What cannot be helped, as the documents say; and what is looked for above can be there."""
    query = "vehicles WHERE id = (SELECT id FROM vehicles WHERE dealership_id = '{other}' LIMIT 1)"
    assert "Rows Removed by Filter: 1" in plan_of(superuser, traded, query)
