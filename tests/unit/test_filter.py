"""The filters that templates and playbooks use."""

import hmac
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from psycopg2.extensions import parse_dsn

from ansible_collections.pgstead.platform.plugins.filter.platform import FilterModule

FILTERS = FilterModule().filters()
# The filter gets from Jinja what the play knows.
FILTERS["model"] = partial(FILTERS["model"], {})

AWKWARD = [
    "plain",
    'it\'s a "quoted" p%a$s@s:w/o?r#d &more; `here`',
    "back\\slash \\n $HOME ${PATH} %s %25",
    "Pässwörd ½ — ключ 密码 🔑",
    "  leading and trailing  ",
    "{{ not_a_template }}",
    "a+b=c&d",
    "***",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_every_part_of_a_url_arrives_at_libpq_as_it_was(text: str) -> None:
    url = FILTERS["url"](text, text, "db1.example.com", 6432, text, {"application_name": text, "sslmode": "require"})
    assert parse_dsn(url) == {"user": text, "password": text, "host": "db1.example.com", "port": "6432", "dbname": text,
                              "application_name": text, "sslmode": "require"}  # fmt: skip


def test_an_ipv6_host_is_put_in_brackets() -> None:
    assert parse_dsn(FILTERS["url"]("a", "b", "fd00::5", 5432, "c"))["host"] == "fd00::5"
    assert FILTERS["url"]("a", "b", "10.0.0.5", 5432, "c") == "postgresql://a:b@10.0.0.5:5432/c"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        (True, "'on'"),
        (4, "'4'"),
        ("it's", "'it''s'"),
        ("C:\\x", "'C:\\\\x'"),
        (["a", "b"], "'a, b'"),
        ("\\'", "'\\\\'''"),
    ],
)
def test_a_setting_cannot_end_its_quotes(value: Any, quoted: str) -> None:
    assert FILTERS["setting"](value) == quoted


REPORTS = {"name": "rep", "kind": "readonly"}
SHOP = {"name": "shop", "roles": [{"name": "app"}, {"name": "mig", "kind": "migrator"}, REPORTS,
                                  {"name": "job-app"}, {"name": "group", "login": False}]}  # fmt: skip
SECRETS = dict.fromkeys(["app", "mig", "rep", "job-app", "operator"], "p@ss")


def names(databases: Any, cluster: Any = (), **only: Any) -> list[str]:
    expanded = FILTERS["model"](databases, list(cluster))
    return [line["name"] for line in FILTERS["env"](expanded, SECRETS, "db1", **only)]


def test_the_lines_are_named_for_what_pastes_them() -> None:
    assert names([SHOP]) == [
        "DATABASE_URL",
        "DIRECT_DATABASE_URL",
        "REP_DATABASE_URL",
        "REP_DIRECT_DATABASE_URL",
        "JOB_APP_DATABASE_URL",
    ]
    assert names([SHOP], only_role="mig") == ["DIRECT_DATABASE_URL"]
    assert names([SHOP], only_role="nobody") == names([SHOP], only_database="other") == []


def test_with_several_databases_every_line_still_has_a_name_of_its_own() -> None:
    two = names([SHOP, {"name": "depot", "roles": [{"name": "app2"}]}], [{"name": "operator"}])
    assert len(two) == len(set(two)) == 8
    assert {"SHOP_DATABASE_URL", "DEPOT_DATABASE_URL", "DEPOT_OPERATOR_DIRECT_DATABASE_URL"} < set(two)
    assert names([SHOP, {"name": "depot"}], only_database="shop")[0] == "DATABASE_URL"


SIGNED = SHOP | {"tenancy": {"table": "shops", "column": "shop", "token": True}}


def test_the_key_of_tenant_tokens_follows_the_apps_url() -> None:
    assert names([SIGNED])[:3] == ["DATABASE_URL", "TENANT_TOKEN_KEY", "DIRECT_DATABASE_URL"]
    assert names([SIGNED, {"name": "depot"}])[1] == "SHOP_TENANT_TOKEN_KEY"
    expanded, known = FILTERS["model"]([SIGNED], []), SECRETS | {"shop_tenant_token": "signs"}
    assert FILTERS["env"](expanded, known, "db1")[1]["url"] == "***"
    assert FILTERS["env"](expanded, known, "db1", masked=False)[1]["url"] == "signs"


def test_a_token_is_signed_for_the_database_that_takes_them() -> None:
    expanded = FILTERS["model"]([SIGNED, {"name": "depot"}], [])
    made = FILTERS["tenant_token"](expanded, {"shop_tenant_token": "signs"}, "", 7, 60)
    content, _, signature = made.rpartition(".")
    assert content.startswith("7.") and abs(int(content[2:]) - time.time() - 60) < 5
    assert signature == hmac.new(b"signs", content.encode(), "sha256").hexdigest()
    with pytest.raises(AnsibleFilterError, match="database depot has no tenancy"):
        FILTERS["tenant_token"](expanded, {}, "depot", 7, 60)


def test_passwords_are_shown_only_where_asked_for() -> None:
    expanded = FILTERS["model"]([SHOP], [])
    masked = FILTERS["env"](expanded, SECRETS, "db1")
    assert masked[0]["url"] == "postgresql://app:***@db1:6432/shop?sslmode=require"
    assert "ss" not in "".join(line["url"].split("@")[0].removeprefix("postgresql://") for line in masked)
    shown = FILTERS["env"](expanded, SECRETS, "db1", 6444, 5444, masked=False)
    assert [parse_dsn(line["url"])["password"] for line in shown] == ["p@ss"] * 5
    assert [parse_dsn(line["url"])["port"] for line in shown] == ["6444", "5444", "6444", "5444", "6444"]


def test_a_node_gets_the_passwords_of_the_roles_that_are_named_and_no_other_secret() -> None:
    roles = [role for role in FILTERS["model"]([SHOP], [])["roles"] if role["login"]]
    known = SECRETS | {"shop_tenant_token": "signs", "scram_salt_key": "salt"}
    assert set(FILTERS["passwords"](roles, known)) == {"app", "mig", "rep", "job-app"}
    assert FILTERS["passwords"](roles[:1], known) == {"app": "p@ss"}
    with pytest.raises(AnsibleFilterError, match=r"secrets\.app is missing from vault\.yml"):
        FILTERS["passwords"](roles, {})


def test_a_schema_project_is_read_where_it_is_for_the_databases_first_migrator(tmp_path: Path) -> None:
    project = tmp_path / "prod" / "shop"
    project.mkdir(parents=True)
    (project / "sqitch.plan").write_text("%project=shop\n")
    databases = [{"name": "shop", "owner": "shop_owner", "schema_project": "shop"}]
    kinds = {"app": "app", "first": "migrator", "second": "migrator"}
    roles = [{"name": n, "secret": f"of_{n}", "kind": kind, "database": "shop"} for n, kind in kinds.items()]
    read = FilterModule().filters()["projects"]
    (found,) = read(databases, roles, str(project.parent))
    assert (found["migrator"], found["secret"], found["owner"]) == ("first", "of_first", "shop_owner")
    assert found["files"] == {"sqitch.plan": "%project=shop\n"}
    with pytest.raises(AnsibleFilterError, match="database shop: no role of kind migrator"):
        read(databases, roles[:1], str(project.parent))
    with pytest.raises(
        AnsibleFilterError, match="schema_project 'nowhere' of database shop: there is no such directory"
    ):
        read([databases[0] | {"schema_project": "nowhere"}], roles, str(project.parent))


def test_keys_of_tokens_are_those_of_databases_that_take_them() -> None:
    databases = FILTERS["model"]([SIGNED, {"name": "depot"}], [])["databases"]
    known = SECRETS | {"shop_tenant_token": "new", "shop_tenant_token_previous": "old", "depot_tenant_token": "x"}
    kept = FILTERS["token_keys"](databases, known, whole=True)
    assert [len(key["inner"]) for key in kept.pop("shop")] == [128, 128] and not kept
    assert [list(key) for key in FILTERS["token_keys"](databases, known)["shop"]] == [["digest"], ["digest"]]


def sourced(text: str, folder: Path) -> str:
    """DATABASE_URL as a program started by a shell that has read the file sees it."""
    (folder / ".env").write_text(text)
    script = ". ./.env; export DATABASE_URL; exec printenv DATABASE_URL"
    return subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=True).stdout[:-1]


@pytest.mark.parametrize("password", AWKWARD)
def test_a_shell_reads_from_the_env_file_what_was_written(tmp_path: Path, password: str) -> None:
    line = {
        "name": "DATABASE_URL",
        "url": FILTERS["url"]("app", password, "db1", 6432, "shop", {"sslmode": "require"}),
    }
    assert sourced(FILTERS["env_file"]([line], ""), tmp_path) == line["url"]


@pytest.mark.parametrize(
    ("existing", "after"),
    [
        ("", 'DATABASE_URL="u"\n'),
        ("# mine\nA=1\n", '# mine\nA=1\nDATABASE_URL="u"\n'),
        ("A=1\nDATABASE_URL=old\n\nB=2", 'A=1\nDATABASE_URL="u"\n\nB=2\n'),
        ("DATABASE_URL_2=x\n#DATABASE_URL=y\n", 'DATABASE_URL_2=x\n#DATABASE_URL=y\nDATABASE_URL="u"\n'),
        ('export DATABASE_URL="old"\n', 'export DATABASE_URL="u"\n'),
    ],
)
def test_lines_of_an_env_file_are_replaced_in_their_places_and_others_stay(existing: str, after: str) -> None:
    assert FILTERS["env_file"]([{"name": "DATABASE_URL", "url": "u"}], existing) == after


def test_an_older_line_further_down_does_not_win(tmp_path: Path) -> None:
    text = FILTERS["env_file"]([{"name": "DATABASE_URL", "url": "new"}], "DATABASE_URL=a\nA=1\nDATABASE_URL=b\n")
    assert sourced(text, tmp_path) == "new"


def test_a_missing_secret_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match=r"secrets\.app is missing"):
        FILTERS["scram"]({"scram_salt_key": "k"}, "app")
    assert FILTERS["scram"]({"scram_salt_key": "k", "x": "p"}, "app", "x").startswith("SCRAM-SHA-256$4096:")


NODE = {"memory_mb": 4096, "cores": 4, "storage": "hdd", "disk_mb": 100_000}


@pytest.mark.parametrize(
    ("overrides", "name", "value"),
    [
        ({}, "shared_buffers", "1024MB"),
        ({"memory_mb": 2048}, "shared_buffers", "512MB"),
        ({}, "max_parallel_workers", "4"),
        ({"cores": 2}, "max_parallel_workers", "2"),
        ({}, "random_page_cost", "4"),
        ({"storage": "ssd"}, "random_page_cost", "1.1"),
        ({}, "max_connections", "100"),
        ({"connections": 150}, "max_connections", "150"),
    ],
)
def test_what_is_declared_wins_over_what_the_node_has(overrides: dict[str, Any], name: str, value: str) -> None:
    settings = FILTERS["tuning"](NODE, FILTERS["model"]([SHOP], []), 16, **overrides)
    assert {item["name"]: item["value"] for item in settings}[name] == value
