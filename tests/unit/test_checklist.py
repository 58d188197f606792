"""What checks of each kind are answered, and that no check brings down those after it; what is asked is a stand-in."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.pgstead.platform.plugins.action import checks
from ansible_collections.pgstead.platform.plugins.module_utils import checklist, login, pg, tenancy_clients

SAID = {"area": "shop", "title": "is well", "fix": "mend it"}
ROW = {"title": "sells", "ok": True, "found": "much", "fix": ""}


class Connection:
    """To a server that answers every query the same, or with an error."""

    closed = False

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.read_only: list[bool] = []

    def set_session(self, readonly: bool) -> None:
        self.read_only.append(readonly)

    def rollback(self) -> None:
        self.asked.append("rollback")

    def rows(self, _: Any, query: str, parameters: Any = None) -> list[dict[str, Any]]:
        self.asked.append((query, parameters))
        if isinstance(self.answer, Exception):
            raise self.answer
        return list(self.answer)

    def rows_seen_by(self, _: Any, role: str, query: str, parameters: Any = None) -> list[dict[str, Any]]:
        return self.rows(_, f"{query} as {role}", parameters)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """ask(check, answer): its lines as (area, title, whether it holds, what was found), and the connection."""

    def call(*asked: dict[str, Any], answer: Any = ()) -> tuple[list[tuple[str, str, bool, str]], Connection]:
        server = Connection(answer)
        monkeypatch.setattr(pg, "administer", lambda *_: server)
        monkeypatch.setattr(pg, "rows", server.rows)
        monkeypatch.setattr(pg, "rows_seen_by", server.rows_seen_by)
        asker = checklist.Asker({}, {"app": "secret"})
        lines = [line for check in asked for line in asker.lines(SAID | check)]
        return [(line.area, line.title, line.ok, line.found) for line in lines], server

    return call


def test_rows_of_a_query_are_lines(ask: Any) -> None:
    rows = [ROW, ROW | {"title": "buys", "ok": None, "area": "stock", "found": None}]
    lines, server = ask({"query": {"sql": "SELECT 1", "parameters": {"a": 1}}}, answer=rows)
    assert lines == [("shop", "sells", True, "much"), ("stock", "buys", False, "")]
    assert server.asked == [("SELECT 1", {"a": 1}), "rollback"]
    assert server.read_only == [True]


def test_names_are_put_in_quoted_and_only_where_they_are_given(ask: Any) -> None:
    names = {"query": {"sql": """SELECT :"schema".f(:'schema')""", "names": {"schema": 'a"b'}}}
    plain = {"query": {"sql": """SELECT '{"a":"b"}'"""}}
    _, server = ask(names, plain, answer=[ROW])
    asked = [query for query, parameters in (one for one in server.asked if one != "rollback")]
    assert asked == ["""SELECT "a""b".f('a"b')""", """SELECT '{"a":"b"}'"""]


def test_who_has_an_owners_tables_asked_is_no_superuser(ask: Any) -> None:
    lines, server = ask({"query": {"sql": "SELECT 1", "role": "shop_owner"}}, answer=[ROW])
    assert lines[0][2] and server.asked[0] == ("SELECT 1 as shop_owner", None)
    assert server.read_only == [False]  # the function that it is asked by is made there, and rolled back


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ([], "the query returned no row"),
        ([{"title": "sells", "ok": True}], "the query returns no column found, fix"),
        (pg.Error('relation "orders" does not exist\nLINE 1: ...'), 'relation "orders" does not exist'),
        (RuntimeError("of a kind that nobody thought of"), "RuntimeError: of a kind that nobody thought of"),
    ],
)
def test_what_goes_wrong_is_a_red_line_and_the_next_check_is_asked(ask: Any, answer: Any, found: str) -> None:
    lines, _ = ask({"query": {"sql": ""}}, {"title": "goes on", "given": []}, answer=answer)
    assert lines == [("shop", "is well", False, found), ("shop", "goes on", True, "no difference")]


def test_what_several_checks_of_a_title_fail_by_is_said_once(ask: Any) -> None:
    down = {"query": {"sql": ""}}
    lines, _ = ask(down, down | {"fix": "another"}, down | {"area": "stock"}, answer=pg.Error("refused"))
    assert [line[0] for line in lines] == ["shop", "stock"]


def test_differences_that_were_found_before_turn_a_line_red(ask: Any) -> None:
    lines, _ = ask({"given": list("abcdefg")}, {"given": [], "found": "nothing pending"})
    assert lines == [
        ("shop", "is well", False, "a; b; c; d; e; and 2 more"),
        ("shop", "is well", True, "nothing pending"),
    ]


SHOWN = {
    "SHOW CONFIG": [{"key": "pool_mode", "value": "session"}, {"key": "listen_port", "value": "6432"}],
    "SHOW DATABASES": [{"name": "shop", "pool_size": 5, "paused": 0}],
    "SHOW USERS": [{"name": "app"}, {"name": "stranger"}],
}


@pytest.mark.parametrize(
    ("asked", "holds", "found"),
    [
        ({"show": "CONFIG", "column": "value", "expected": {"listen_port": 6432}}, True, "listen_port = 6432"),
        ({"show": "CONFIG", "column": "value", "expected": {"pool_mode": ["a", "session"]}}, True,
         "pool_mode = session"),
        ({"show": "CONFIG", "column": "value", "expected": {"pool_mode": "a"}}, False, "pool_mode = session"),
        ({"show": "CONFIG", "column": "value", "expected": {"new": 1}}, False, "new = (unknown)"),
        ({"show": "DATABASES", "row": "shop", "expected": {"pool_size": 5, "paused": 0}}, True,
         "pool_size = 5, paused = 0"),
        ({"show": "DATABASES", "row": "shop", "expected": {"pool_size": 6}}, False, "pool_size = 5"),
        ({"show": "DATABASES", "row": "none", "expected": {}}, False, "SHOW DATABASES does not list it"),
        ({"show": "USERS", "only": ["app"]}, False, "stranger"),
        ({"show": "USERS", "only": ["app", "stranger"]}, True, "none"),
    ],
)  # fmt: skip
def test_what_the_pooler_shows_is_compared(
    ask: Any, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], holds: bool, found: str
) -> None:
    class Pooler:
        def ask(self, command: str) -> list[dict[str, Any]]:
            return SHOWN[command]

    monkeypatch.setattr(checklist, "Pooler", Pooler)
    assert ask({"console": asked})[0] == [("shop", "is well", holds, found)]


@pytest.mark.parametrize(
    ("shown", "holds", "found"),
    [
        ("ActiveState=active\nUnitFileState=enabled\n", True, "active and enabled"),
        ("ActiveState=active\nUnitFileState=disabled\n", False, "active and disabled"),
        ("ActiveState=failed\nUnitFileState=enabled\n", False, "failed and enabled"),
        ("ActiveState=inactive\nUnitFileState=\n", False, "inactive and -"),
    ],
)
def test_a_unit_runs_and_starts_at_boot(ask: Any, program: Any, shown: str, holds: bool, found: str) -> None:
    program("systemctl", shown)
    assert ask({"unit": "pgbackrest.timer"})[0] == [("shop", "is well", holds, found)]


def test_a_command_holds_where_it_ends_with_0_and_says_its_last_line(ask: Any, program: Any) -> None:
    program("good", "much\nall well\n\n")
    program("bad", "much\nno repository\n", status=3)
    program("mute", status=2)
    checks = [{"command": [name, "--all"]} for name in ("good", "bad", "mute", "absent")]
    found = [line[2:] for line in ask(*checks)[0]]
    assert found[:3] == [(True, "all well"), (False, "no repository"), (False, "ended with 2")]
    assert not found[3][0] and "No such file or directory: 'absent'" in found[3][1]


def test_the_newest_file_of_a_pattern_is_young_enough_or_not(ask: Any, tmp_path: Path) -> None:
    for name, hours in (("old.dump", 50), ("new.dump", 2)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - hours * 3600,) * 2)
    young, old, none = ({"age": {"path": str(tmp_path / name), "hours": 26}} for name in ("*.dump", "old*", "none"))
    found = [line[2:] for line in ask(young, old, none)[0]]
    assert found == [
        (True, f"{tmp_path}/new.dump is 2.0 hours old"),
        (False, f"{tmp_path}/old.dump is 50.0 hours old"),
        (False, f"there is no {tmp_path}/none"),
    ]


def test_logins_and_laboratories_get_the_password_that_they_name(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    got = []
    monkeypatch.setattr(login, "check", lambda asked, password, said: got.append((password, said["area"])) or [])
    monkeypatch.setitem(checklist.LABORATORIES, "tenancy", lambda asked, password, *_: got.append(password) or [])
    lab = {"lab": {"name": "tenancy", "secret": "app"}}
    lines, _ = ask({"login": {"secret": "app"}}, lab, {"login": {"secret": "x"}})
    assert got == [("secret", "shop"), "secret"]
    assert lines == [("shop", "is well", False, "KeyError: 'x'")]


def test_a_context_that_is_missing_is_the_only_error_that_clients_should_meet() -> None:
    class RefusedError(Exception):
        pgcode = login.DENIED

    class OtherError(Exception):
        pgcode = "42P01"

    assert tenancy_clients.complaint(RefusedError("tenant context is not set")) == ""
    assert tenancy_clients.complaint(RefusedError("permission denied for table goods")) != ""
    assert tenancy_clients.complaint(OtherError("tenant context is not set")) != ""


# ---- the action plugin: from checks.yml to checks ------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """written(text, variables): the checks of a checks.yml, beside which are one.sql and two.sql."""

    def call(text: str, variables: dict[str, Any] | None = None, folder: str = "") -> list[dict[str, Any]]:
        own = tmp_path / "inventories" / "prod" / "shop"
        own.mkdir(parents=True, exist_ok=True)
        (own / "checks.yml").write_text(text)
        for name in ("one", "two"):
            (own / f"{name}.sql").write_text(f"SELECT '{name}';")
        known = {"inventory_dir": str(own.parent)} | (variables or {})
        loader: Any = DataLoader()
        plugin: Any = checks.ActionModule.__new__(checks.ActionModule)
        plugin._loader, plugin._templar = loader, Templar(loader, variables=known)
        return list(plugin._checks(folder or str(own), known, {"app": "secret"}))

    return call


def test_a_check_is_written_out_for_each_item_where_its_condition_holds(written: Any) -> None:
    text = """
- area: database {{ item.name }}
  title: sells {{ what }}
  query: {file: [one.sql, two.sql], database: "{{ item.name }}", parameters: {size: "{{ item.size }}"}}
  loop: "{{ databases }}"
  when: [item.size > 1, what is defined]
"""
    sizes = [{"name": "a", "size": 2}, {"name": "b", "size": 1}, {"name": "c", "size": 3}]
    found = written(text, {"databases": sizes, "what": "cars"})
    assert [(check["area"], check["title"], check["fix"]) for check in found] == [
        ("database a", "sells cars", ""), ("database c", "sells cars", ""),
    ]  # fmt: skip
    assert found[0]["query"] | {"file": ""} == {
        "file": "", "database": "a", "parameters": {"size": 2}, "sql": "SELECT 'one';SELECT 'two';",
    }  # fmt: skip


def test_area_and_title_of_a_query_may_be_left_out(written: Any) -> None:
    (check,) = written("- query: {file: one.sql}")
    assert (check["area"], check["title"]) == ("shop", "one.sql can be asked")


@pytest.mark.parametrize("folder", ["shop", "inventories/prod/shop"])
def test_a_directory_is_found_beside_the_inventory_and_in_the_workspace(written: Any, folder: str) -> None:
    assert written("- {title: is well, given: []}", folder=folder)[0]["given"] == []


@pytest.mark.parametrize(
    ("text", "area", "said"),
    [
        ("- {area: a, title: t, given: '{{ nothing }}'}", "a", "'nothing' is undefined"),
        ("- {area: 'a {{ nothing }}', title: t, given: []}", "shop", "'nothing' is undefined"),
        ("- {area: a, title: t}", "a", "it asks nothing; write one of query, login, console,"),
        ("- {area: a, title: t, given: [], unit: x}", "a", "it asks given and unit; write one of"),
        ("- {area: a, given: []}", "a", "it has no title"),
        ("- {area: a, title: t, given: [], loop: 5}", "a", "TypeError: "),
        ("- {area: a, title: t, login: {}}", "a", "KeyError: 'secret'"),
        ("- {area: a, query: {file: none.sql}}", "a", "No such file or directory"),
        ("- {area: a, title: t, login: {secret: nobody}}", "a", "secrets.nobody is missing from vault.yml"),
        ("- just text", "shop", "a check is a dictionary, not 'just text'"),
        ("- {", "shop", "YAML parsing failed"),
    ],
)
def test_what_cannot_be_written_out_is_a_red_line_in_its_place(written: Any, text: str, area: str, said: str) -> None:
    (check,) = written(text)
    assert check["area"] == area and said in check["broken"], check
    assert checklist.Asker({}, {}).lines(check)[0].ok is False


def test_the_checks_that_the_documents_show_can_be_written_out(written: Any, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-checks.md").read_text()
    _, text = re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)
    text = text.replace("orders.sql", "one.sql").replace("secret: reports", "secret: app")
    assert [check["title"] for check in written(text, {"group_names": ["accounting"]})] == [
        "one.sql can be asked", "is reached by the reports", "runs every night", "orders is of last night",
        "customers is of last night", "is readable by the accountants",
    ]  # fmt: skip


def test_a_directory_that_is_not_there_is_a_red_line(written: Any) -> None:
    (check,) = written("", folder="nowhere")
    assert check["title"] == "nowhere/checks.yml can be read" and "broken" in check
