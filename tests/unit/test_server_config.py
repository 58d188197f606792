"""What is decided about an instance and its configuration, without a server."""

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.pgstead.platform.plugins.module_utils.postgresql import instance, server_config

Place = instance.Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """On a node where nothing is yet but the directory of postgresql-common."""
    (tmp_path / "var/lib/postgresql").mkdir(parents=True)
    return Place(16, "main", tmp_path)


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_an_instance_is_made_once_and_one_that_is_there_is_adopted(place: Place) -> None:
    assert instance.step(place) == "make"
    put(place.config / "postgresql.conf")
    put(place.data / "PG_VERSION")
    assert instance.step(place) == ""


def test_an_interrupted_creation_starts_over_with_what_it_left_set_aside(place: Place) -> None:
    for path in (place.config / "postgresql.conf", place.data / "PG_VERSION", place.creating):
        put(path)
    assert not place.exists
    assert instance.step(place) == "start over"
    told = instance.set_aside(place)
    assert [text.partition(", an instance")[0] for text in told] == [str(place.data), str(place.config)]
    assert instance.step(place) == "make"
    assert len(list(place.creating.parent.glob(".pgstead-unfinished-16-main-*/data/PG_VERSION"))) == 1


@pytest.mark.parametrize("started", [False, True])
def test_data_of_somebody_else_is_refused(place: Place, started: bool) -> None:
    """Without a sign that it is ours; or with one, but it has been started since."""
    put(place.data / "precious")
    if started:
        put(place.creating)
        put(place.data / "postmaster.opts")
    with pytest.raises(instance.RefusedError, match="holds data that pgstead did not put there: it is not touched"):
        instance.step(place)


def test_a_creation_that_fails_leaves_nothing_behind(place: Place, program: Any) -> None:
    put(place.data / "PG_VERSION")  # as far as it came
    program("pg_createcluster", "no such locale", status=1)
    with pytest.raises(instance.RefusedError, match=r"failed: no such locale\n.*/main, an instance that"):
        instance.make(place, 5432, "xx")
    assert not place.creating.exists() and instance.step(place) == "make"
    program("pg_createcluster")
    instance.make(place, 5432, "C.UTF-8")
    assert not place.creating.exists()


def test_a_running_server_moves_its_port_only_with_permission() -> None:
    assert server_config.port_refusal(5432, 5432, False) == server_config.port_refusal(5432, 5499, True) == ""
    assert "runs on port 5432, declared is 5499" in server_config.port_refusal(5432, 5499, False)


def test_more_shared_buffers_than_memory_are_refused() -> None:
    assert server_config.memory_refusal(131072, 1024) == ""
    assert server_config.memory_refusal(131073 * 2, 2047) == "shared_buffers is 2048 MB, the node has 2047 MB of memory"


def test_what_waits_for_a_restart_is_no_problem_of_a_file() -> None:
    row = {"sourcefile": "a.conf", "sourceline": 3, "name": "port", "error": "could not be applied", "waits": True}
    assert server_config.file_problems([row]) == ""
    assert server_config.file_problems([row | {"waits": False}]) == "a.conf:3: port: could not be applied"


def test_the_telling_lines_of_a_log_are_those_that_say_why() -> None:
    assert server_config.telling("LOG: x\nFATAL: no\nHINT: do\n") == "FATAL: no\nHINT: do"
    assert server_config.telling("LOG: x\nLOG: y\n") == "LOG: x\nLOG: y"


def test_a_server_that_recovers_is_waited_for_longer_than_one_that_says_nothing() -> None:
    assert server_config.patience("the database system is starting up") > server_config.patience("refused") >= 60


class Recorded(server_config.Server):
    """A server that only writes down what it is told to do.

    Args:
        pending: what waits for a restart, before each of them.
    """

    def __init__(self, place: Place, pending: list[list[str]]) -> None:
        super().__init__(place, 5432, "systemd")
        self.steps: list[str] = []
        self.waiting = pending

    def judge(self, is_running: bool) -> None:
        self.steps.append("judge")

    def judge_hba(self) -> None:
        self.steps.append("judge hba")

    def reload(self) -> None:
        self.steps.append("reload")

    def start(self) -> None:
        self.steps.append("start")

    def pending(self) -> list[str]:
        return self.waiting.pop(0)


CHANGE: Any = type("Change", (), {"apply": lambda self: None, "undo": lambda self: None})()


@pytest.mark.parametrize(
    ("changes", "is_read", "was_running", "may_restart", "pending", "steps"),
    [
        ([], True, True, False, [[]], []),
        ([CHANGE], True, True, False, [["port"]], ["judge", "reload"]),
        ([], False, True, False, [[]], ["judge", "reload"]),
        ([CHANGE], True, True, True, [["port"], []], ["judge", "reload", "start"]),
        ([], True, True, True, [["port"], []], ["start"]),
        ([], True, False, False, [[]], ["judge", "start", "judge hba"]),
        ([CHANGE], True, False, True, [[]], ["judge", "start", "judge hba"]),
    ],
)
def test_a_server_is_started_reloaded_or_restarted_as_is_needed_and_no_more(
    place: Place, changes: list[Any], is_read: bool, was_running: bool, may_restart: bool,
    pending: list[list[str]], steps: list[str],
) -> None:  # fmt: skip
    server = Recorded(place, pending)
    last = pending[-1]
    assert server_config.take_over(server, changes, is_read, was_running, may_restart) == last
    assert server.steps == steps


@pytest.mark.parametrize(
    ("changes", "was_running", "state", "steps", "said"),
    [
        ([], True, "active", [], "PostgreSQL does not accept its configuration. It says:\nbad line"),
        ([CHANGE], True, "active", ["reload"], "the last good files are back. It says:\nbad line"),
        ([CHANGE], True, "failed", ["start"], "the last good files are back. It says:\nbad line"),
        ([CHANGE], False, "failed", [], "the last good files are back. It says:\nbad line"),
    ],
)
def test_what_was_refused_is_put_back_and_what_ran_runs_again(
    place: Place, program: Any, changes: list[Any], was_running: bool, state: str, steps: list[str], said: str
) -> None:
    program("systemctl", f"{state}\n")
    server = Recorded(place, [])
    assert said in server_config.put_back(server, changes, was_running, "bad line")
    assert server.steps == steps
