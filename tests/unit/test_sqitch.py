"""Plans as sqitch writes them, and what is concluded from a plan and a registry that differ."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils import sqitch
from ansible_collections.pgstead.platform.plugins.module_utils.sqitch import Change, Project

HOME = Path(__file__).resolve().parents[2]
WHEN = "2026-11-23T10:00:00Z Ann Ö. Nym <ann@example.com>"


def files(*lines: str, **other: str) -> dict[str, str]:
    """A project with this plan, and a script for each change that the lines name first."""
    names = {line.lstrip("+ ").split()[0] for line in lines if line.strip() and line.strip()[0] not in "#%@"}
    return {"sqitch.plan": "\n".join(("%project=shop", *lines))} | {f"deploy/{n}.sql": n for n in names} | other


def names(project: Project) -> list[str]:
    return [change.name for change in project.changes]


def test_a_plan_with_everything_that_sqitch_writes() -> None:
    project = sqitch.parse(files(
        "%syntax-version=1.0.0", "%uri=https://example.com/", "", "# a comment",
        f"users {WHEN} # Users", f"@v1 {WHEN} # first", f"orders [users !old other:x@v2] {WHEN} # [no] @tag",
        f"+ sub/depots {WHEN}",
    ))  # fmt: skip
    assert (project.name, names(project)) == ("shop", ["users", "orders", "sub/depots"])


def test_a_script_is_known_by_its_sha1() -> None:
    (change,) = sqitch.parse(files(f"users {WHEN}") | {"deploy/users.sql": "SELECT 'ä';\n"}).changes
    assert change.digest == hashlib.sha1("SELECT 'ä';\n".encode()).hexdigest()  # noqa: S324 - sqitch's


def test_the_earlier_script_of_a_reworked_change_has_a_tag_in_its_name() -> None:
    plan = (f"a {WHEN}", f"@v1 {WHEN}", f"b {WHEN}", f"@v2 {WHEN}", f"a [a@v2] {WHEN}", f"@v3 {WHEN}")
    found = sqitch.parse(files(*plan) | {"deploy/a@v2.sql": "old", "deploy/a.sql": "new"}).changes
    assert [change.script for change in found] == ["deploy/a@v2.sql", "deploy/b.sql", "deploy/a.sql"]
    with pytest.raises(ValueError, match=r"change a has no script deploy/a@v1\.sql"):
        sqitch.parse(files(*plan))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["users"], "sqitch.plan, line 2: 'users' is neither a change nor a tag"),
        ([f"@v1 {WHEN}"], "line 2"),
        ([f"-users {WHEN}"], "line 2"),
        ([f"users {WHEN}", "<<<<<<< HEAD"], "line 3"),
    ],
    ids=["no stamp", "a tag before any change", "a revert", "a merge conflict"],
)
def test_a_line_that_is_none_is_named(lines: list[str], said: str) -> None:
    with pytest.raises(ValueError) as raised:
        sqitch.parse(files(*lines))
    assert said in str(raised.value)


def test_a_plan_without_project_and_a_change_without_script_are_refused() -> None:
    with pytest.raises(ValueError, match="no line %project=NAME"):
        sqitch.parse({"sqitch.plan": f"users {WHEN}"})
    with pytest.raises(ValueError, match=r"change users has no script deploy/users\.sql"):
        sqitch.parse({"sqitch.plan": f"%project=shop\nusers {WHEN}"})


# ---- directories ------------------------------------------------------------------------------------------------


def test_the_inventory_comes_before_pgstead_and_an_absolute_path_is_one(tmp_path: Path) -> None:
    inventory, home = tmp_path / "inventory", tmp_path / "home"
    (home / "schemas/shop").mkdir(parents=True)
    assert sqitch.locate("schemas/shop", [inventory, home]) == home / "schemas/shop"
    (inventory / "schemas/shop").mkdir(parents=True)
    assert sqitch.locate("schemas/shop", [inventory, home]) == inventory / "schemas/shop"
    assert sqitch.locate(str(home / "schemas/shop"), [inventory, home]) == home / "schemas/shop"
    with pytest.raises(ValueError, match=r"no such directory in .*inventory or .*home"):
        sqitch.locate("schemas/shpo", [inventory, home])
    with pytest.raises(ValueError, match="no such directory; write"):
        sqitch.locate("/nowhere", [inventory, home])


def test_a_workspace_s_own_projects_are_found_from_its_inventories() -> None:
    assert sqitch.bases("/mine/inventories/prod")[:2] == [Path("/mine/inventories/prod"), Path("/mine")]
    home = Path(__file__).parents[2]
    assert sqitch.bases(str(home / "inventories/single")) == [home / "inventories/single", home]


def test_a_project_is_its_plan_its_settings_and_its_scripts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no sqitch\.plan"):
        sqitch.read(tmp_path)
    for path in (
        "sqitch.plan",
        "sqitch.conf",
        "README.md",
        ".env",
        "deploy/sub/a.sql",
        "verify/a.sql",
        "verify/b.psql",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    assert sorted(sqitch.read(tmp_path)) == [
        "deploy/sub/a.sql", "sqitch.conf", "sqitch.plan", "verify/a.sql", "verify/b.psql",
    ]  # fmt: skip
    (tmp_path / "deploy/latin.sql").write_bytes("ä".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        sqitch.read(tmp_path)


@pytest.mark.parametrize("folder", sorted(HOME.glob("schemas/*/")), ids=lambda path: path.name)
def test_every_change_that_is_shipped_has_its_three_scripts(folder: Path) -> None:
    content = sqitch.read(folder)
    project = sqitch.parse(content)
    assert project.name == folder.name
    assert len(project.changes) > 1
    for change in project.changes:
        for part in sqitch.SCRIPTS:
            text = content[change.script.replace("deploy", part, 1)]
            assert "\nBEGIN;\n" in text
            assert text.endswith("ROLLBACK;\n" if part == "verify" else "COMMIT;\n")


# ---- plan and registry --------------------------------------------------------------------------------------------

PROJECT = Project("shop", [Change(name, f"deploy/{name}.sql", f"digest of {name}") for name in "abc"])


def deployed(*found: str, **digests: str) -> list[Change]:
    return [Change(name, "", digests.get(name, f"digest of {name}")) for name in found]


@pytest.mark.parametrize("count", range(4))
def test_what_is_pending_is_the_rest_of_the_plan(count: int) -> None:
    found = deployed(*"abc"[:count])
    assert [change.name for change in sqitch.pending(PROJECT, found)] == list("abc"[count:])
    assert sqitch.misplaced(PROJECT, found) == sqitch.edited(PROJECT, found) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("abcd", "deployed, but not in sqitch.plan: d; deploy the project as it was"),
        ("xay", "deployed, but not in sqitch.plan: x, y; "),
        ("acb", "sqitch.plan has b where c was deployed; put the plan's lines back in their order"),
        ("b", "sqitch.plan has a where b was deployed"),
        ("abca", "sqitch.plan has nothing where a was deployed"),
    ],
)
def test_a_plan_that_does_not_go_on_from_what_is_deployed_is_refused(found: str, said: str) -> None:
    assert sqitch.misplaced(PROJECT, deployed(*found)).startswith(said)


def test_an_edited_script_is_named_with_what_to_do() -> None:
    said = sqitch.edited(PROJECT, deployed("a", "b", "c", b="other", c="other"))
    assert said.startswith("edited after it was deployed: deploy/b.sql, deploy/c.sql; ")
    assert "sqitch rework b" in said
    assert sqitch.edited(PROJECT, deployed("a", "b", b="")) == ""  # an old registry does not know


@pytest.mark.parametrize(("registered", "ok"), [([], True), (["shop"], True), (["shop", "x"], True), (["x"], False)])
def test_a_database_with_another_project_is_refused(registered: list[str], ok: bool) -> None:
    assert (sqitch.stranger(PROJECT, registered) == "") is ok


def test_of_what_sqitch_prints_postgresqls_words_are_kept() -> None:
    said: Any = (
        'psql:deploy/b.sql:3: ERROR:  relation "x" does not exist\nLINE 1: SELECT * FROM x\n                      ^\n'
        '"psql" unexpectedly returned exit value 3\n\nDeploy failed\n'
    )
    assert sqitch.complaint(said).splitlines() == [
        'psql:deploy/b.sql:3: ERROR:  relation "x" does not exist',
        "LINE 1: SELECT * FROM x",
        "                      ^",
    ]
    verifying = 'psql:verify/b.sql:1: ERROR:  no\nVerify script "verify/b.sql" failed.\nDeploy failed\n'
    assert sqitch.complaint(verifying).splitlines()[1] == 'Verify script "verify/b.sql" failed.'
