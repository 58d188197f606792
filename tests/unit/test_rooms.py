"""What roles bring, out of their meta/room.yml, and how it is merged."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.pgstead.platform.plugins.lookup import room as lookup
from ansible_collections.pgstead.platform.plugins.plugin_utils import model, rooms, shape
from ansible_collections.pgstead.platform.plugins.plugin_utils.rooms import Room

DEPOT = {"type": "dict", "options": {"keep_days": {"type": "int", "default": 30}, "shelf": {"type": "str"}}}


def room(name: str, **says: Any) -> Room:
    return Room(Path("/theirs/roles") / name, says)


def guests(*further: Room) -> list[Room]:
    return [*rooms.own(), *further]


def test_of_two_rooms_of_one_name_the_first_is_taken_and_a_role_without_the_file_is_none(tmp_path: Path) -> None:
    for path, text in {"a/depot": "ports: [{input: x}]", "b/depot": "", "b/shop": "enabled: false"}.items():
        (tmp_path / path / "meta").mkdir(parents=True)
        (tmp_path / path / "meta/room.yml").write_text(text)
    (tmp_path / "b/plain/tasks").mkdir(parents=True)
    depot, shop = rooms.find([tmp_path / "a", tmp_path / "none", tmp_path / "b"])
    assert (depot.name, depot.says, shop.says) == ("depot", {"ports": [{"input": "x"}]}, {"enabled": False})


@pytest.mark.parametrize(("says", "there"), [({}, True), ({"enabled": "{{ on }}"}, True), ({"enabled": False}, False)])
def test_a_room_is_there_unless_it_is_not_enabled(says: dict[str, Any], there: bool) -> None:
    evaluate = rooms.evaluator({"on": "yes"})
    assert bool(rooms.enabled([room("depot", **says)], evaluate)) is there


def test_a_role_used_alone_takes_nothing_from_rooms_that_are_not_in_its_play() -> None:
    depot, shop = room("depot"), room("shop")
    assert rooms.in_play([depot, shop], ["pgstead.platform.postgresql", "theirs.own.shop"]) == [shop]


def test_whose_rooms_count_may_be_an_expression_of_the_play() -> None:
    variables = {"rooms_in_play": rooms.trusted("{{ ['pgbouncer'] }}")}
    asker = lookup.LookupModule(templar=Templar(DataLoader(), variables=variables))
    assert asker.run(["server"], variables)[0]["peer_roles"] == ["pgbouncer"]


def test_the_checklist_asks_enabled_rooms_that_have_something_to_ask(tmp_path: Path) -> None:
    inventory = tmp_path / "inventories" / "prod"
    for name, enabled in {"depot": True, "closed": False, "mute": True}.items():
        role = tmp_path / "roles" / name
        for folder in ("meta", "tasks"):
            (role / folder).mkdir(parents=True)
        (role / "meta/room.yml").write_text(f"enabled: {enabled}")
        (role / "tasks" / ("main.yml" if name == "mute" else "verify.yml")).touch()
    variables = {"inventory_dir": str(inventory)}
    asker = lookup.LookupModule(templar=Templar(DataLoader(), variables=variables))
    assert asker.run(["verified"], variables)[0] == [
        "pgstead.platform.postgresql", "depot",
        *(f"pgstead.platform.{name}" for name in ("pgbouncer", "schema", "tenancy")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("/x/ansible_collections/theirs/own/roles/depot", "theirs.own.depot"),
        ("/theirs/roles/depot", "depot"),
        (str(rooms.CONTENT / "roles" / "postgresql"), "pgstead.platform.postgresql"),
    ],
)
def test_a_role_is_named_in_full_where_a_collection_has_it(role: str, name: str) -> None:
    assert Room(Path(role), {}).known_as == name


def test_a_key_is_known_and_filled_in_where_its_room_is_a_guest() -> None:
    depot = room("depot", declares={"databases[].depot": DEPOT, "databases[].roles[].lane": {"type": "int"}})
    databases = [{"name": "a", "depot": {"keep_days": "7"}, "roles": [{"name": "r", "lane": 3}]}, {"name": "b"}]
    assert shape.check({"databases": databases}, {"databases": rooms.inputs(guests(depot))["databases"]}) == []
    assert len(shape.check({"databases": databases}, {"databases": rooms.inputs(guests())["databases"]})) == 2
    long = model.expand(databases, [], guests(depot))
    assert [database["depot"]["keep_days"] for database in long["databases"]] == [7, 30]
    assert next(role for role in long["roles"] if role["name"] == "r")["lane"] == 3
    assert "depot" not in model.expand(databases, [])["databases"][0]
    assert "depot" not in rooms.inputs(rooms.own())["databases"]["options"]  # nobody's options are changed


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ({"type": "str"}, ""),
        ({"type": "int"}, None),
        ({"type": "int", "default": "5"}, 5),
        ({"type": "bool", "default": False}, False),
        ({"type": "dict"}, {}),
        ({"type": "list", "elements": "str"}, None),
        (DEPOT, {"keep_days": 30, "shelf": ""}),
        ({"type": "dict", "options": {"a": {"required": True}, "b": {"default": "x"}}}, None),
    ],
)
def test_what_is_left_out_is_filled_in(option: dict[str, Any], value: Any) -> None:
    assert shape.filled(None, option) == value


LONG = {"databases": [
    {"name": "a", "depot": {"own": True}, "roles": [{"name": "r", "lane": 3}, {"name": "s"}]},
    {"name": "b", "depot": None, "roles": []}]}  # fmt: skip


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (None, ["x"]),
        ("databases[].depot.own", ["a_x"]),
        ("databases[].roles[].lane", ["a_r_x"]),
        ("databases[].no", []),
    ],
)
def test_a_secret_is_needed_once_or_for_each_that_has_a_key(where: str | None, names: list[str]) -> None:
    name = {"databases[].roles[].lane": "{database}_{role}_x", None: "x"}.get(where, "{database}_x")
    entry = {"name": name, "for": "it"} | ({"where": where} if where else {})
    assert [secret.name for secret in rooms.secrets([room("depot", secrets=[entry])], LONG["databases"])] == names


def test_packages_are_evaluated_each_once_and_some_only_where_a_database_needs_them() -> None:
    says = ["p-{{ v }}", "{{ more }}", {"name": "q", "where": "databases[].depot.own"}]
    depot, evaluate = room("depot", packages=says), rooms.evaluator({"v": 3, "more": ["m", "p-3"]})
    assert rooms.packages([depot], evaluate) == ["p-3", "m", "q"]
    assert rooms.packages([depot], evaluate, LONG["databases"]) == ["p-3", "m", "q"]
    assert rooms.packages([depot], evaluate, LONG["databases"][1:]) == ["p-3", "m"]


def test_what_the_server_must_have_is_united() -> None:
    one = room("one", server={"settings": {"libraries": ["a"], "wal_level": "replica"}, "hba_before": ["x"]})
    two = room("two", server={"settings": {"libraries": ["b", "a"]}, "peer_roles": ["two"], "hba_before": ["x", "y"]})
    assert rooms.server([one, two, room("three")]) == {
        "settings": {"libraries": ["a", "b"], "wal_level": "replica"},
        "hba_before": ["x", "y"], "hba_after": [], "peer_roles": ["two"],
    }  # fmt: skip
    other = room("other", server={"settings": {"wal_level": "logical"}})
    with pytest.raises(ValueError, match="wal_level: one wants 'replica', other wants 'logical'"):
        rooms.server([one, other])
    assert one.says["server"]["settings"]["libraries"] == ["a"]


def test_the_pooler_comes_in_by_peer_as_the_server_s_default_has_it() -> None:
    defaults = yaml.safe_load((rooms.CONTENT / "roles/postgresql/defaults/main.yml").read_text())
    assert rooms.server(rooms.own())["peer_roles"] == defaults["postgresql_peer_roles"]


def test_what_speaks_of_something_that_does_not_exist_says_of_what() -> None:
    for depot in (room("depot", declares={"databses[].depot": DEPOT}), room("depot", inputs={"depot_prot": {}})):
        with pytest.raises(ValueError, match=r"a meta/room.yml speaks of (databses\[\]|depot_prot), which no role has"):
            rooms.inputs(guests(depot))
