"""What `pgstead verify` asks: every statement that it ever had, and the checks of the user's own."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from conftest import DECLARED, INVENTORY, pgstead, verify_lines

DATABASES, ROLES = DECLARED.model["databases"], DECLARED.model["roles"]


def logins(admitted: bool) -> list[dict[str, str]]:
    return [
        {"role": role["name"], "database": database["name"], "endpoint": endpoint, "kind": role["kind"]}
        for endpoint in ("direct", "pooled")
        for role in ROLES
        for database in DATABASES
        if role["login"] and role["database"] in ("", database["name"]) and admitted == (endpoint in role["endpoints"])
    ]


def said_of() -> dict[str, list[dict[str, Any]]]:
    """What statements are said of, by the names in titles.yml."""
    names = {database["name"]: [item["name"] for item in database["extensions"]] for database in DATABASES}
    pooled = {login["database"] for login in logins(True) if login["endpoint"] == "pooled"}
    tenants = {database["name"]: database["tenancy"] for database in DATABASES if database["tenancy"]}
    return {
        "the node": [{"version": DECLARED.get("postgresql_minor", "") or DECLARED.version}],
        "a node with an auth file": [{}] * (DECLARED.get("pgbouncer_auth", "") == "userlist"),
        "pgvector": [{"database": name} for name in names if "vector" in names[name]],
        "other extensions": [
            {"database": name, "extension": extension}
            for name in names
            for extension in names[name]
            if extension != "vector"
        ],
        "roles of databases": [{"role": r["name"]} for r in ROLES if r["database"] and r["kind"] != "owner"],
        "logins": logins(True),
        "logins without power": [login for login in logins(True) if login["kind"] in ("app", "readonly")],
        "refused logins": logins(False),
        "pools": [{"database": d["name"]} | d["pool"] for d in DATABASES if d["name"] in pooled],
        "tenants": [{"database": name, "setting": tenants[name]["setting"]} for name in tenants],
        "tenants by tokens": [{"database": name} for name in tenants if tenants[name]["token"]],
        "schema projects": [
            {"database": d["name"], "project": Path(d["schema_project"]).name} for d in DATABASES if d["schema_project"]
        ],
    }


def test_every_statement_is_there_and_holds_and_no_other() -> None:
    expected = Counter(
        (area.format(**names), title.format(**names))
        for entry in yaml.safe_load(Path(__file__).with_name("titles.yml").read_text())
        for names in said_of()[entry["of"]]
        for area, titles in entry.items()
        if area != "of"
        for title in titles
    )
    lines = verify_lines()
    assert Counter((line["area"], line["title"]) for line in lines) == expected
    assert {tuple(line) for line in lines} == {("area", "title", "ok", "found", "fix", "look")}
    assert [line for line in lines if not line["ok"]] == []


OWN = """
- query: {file: roles.sql, parameters: {wanted: "{{ databases | length }}"}}
- query: {file: wrong.sql, database: "{{ databases[0].name }}", role: "{{ owner }}"}
  area: orders
- area: orders
  title: cannot be written out
  given: "{{ nothing_of_this_name }}"
- area: orders
  title: "{{ item }} is as we like it"
  given: []
  when: item != 'third'
  loop: [first, second, third]
- area: orders
  title: can be asked without its password
  login: {role: nobody, secret: nobody, database: postgres, host: 127.0.0.1, port: 1, expected: in}
"""
ROLES_SQL = """
SELECT 'has owners' AS title, count(*) >= %(wanted)s AS ok, count(*) || ' roles' AS found, '' AS fix
FROM pg_roles WHERE NOT rolcanlogin
UNION ALL
SELECT 'has no role but ours', false, 'others', 'live with them'
ORDER BY title DESC
"""


def test_checks_of_ones_own_hold_or_not_and_what_is_wrong_with_one_is_its_red_line(tmp_path: Path) -> None:
    own = tmp_path / "shop"
    own.mkdir()
    (own / "checks.yml").write_text(OWN)
    (own / "roles.sql").write_text(ROLES_SQL)
    (own / "wrong.sql").write_text("SELECT 'orders arrive' AS title, arrived AS ok FROM session_user_of")
    more = json.dumps({"checks_path": [str(own)], "owner": DATABASES[0]["owner"]})
    done = pgstead("verify", "-i", str(INVENTORY), "--json", "-e", more, check=False)
    assert done.returncode == 1
    lines = json.loads(done.stdout)["hosts"]["db1"]["lines"]
    assert [line["ok"] for line in lines if line["area"] not in ("shop", "orders")] == [True] * (len(lines) - 7)
    found = [(line["area"], line["title"], line["ok"], line["found"]) for line in lines[-7:]]
    assert found[:3] == [
        ("shop", "has owners", True, found[0][3]),
        ("shop", "has no role but ours", False, "others"),
        ("orders", "wrong.sql can be asked", False, 'relation "session_user_of" does not exist'),
    ]
    assert found[3][:3] == ("orders", "cannot be written out", False) and "nothing_of_this_name" in found[3][3]
    assert found[4:6] == [("orders", f"{n} is as we like it", True, "no difference") for n in ("first", "second")]
    assert found[6][:3] == ("orders", "can be asked without its password", False)
    assert "secrets.nobody is missing" in found[6][3]


def test_a_check_changes_nothing(tmp_path: Path, superuser: Any) -> None:
    (tmp_path / "checks.yml").write_text("- query: {file: makes.sql}\n")
    (tmp_path / "makes.sql").write_text("CREATE TABLE made (); SELECT '' AS title, true AS ok, '' AS found, '' AS fix")
    more = json.dumps({"checks_path": [str(tmp_path)]})
    done = pgstead("verify", "-i", str(INVENTORY), "--json", "-e", more, check=False)
    (line,) = [line for line in json.loads(done.stdout)["hosts"]["db1"]["lines"] if not line["ok"]]
    assert "read-only transaction" in line["found"]
    assert superuser("SELECT to_regclass('made') IS NULL") == "t"
