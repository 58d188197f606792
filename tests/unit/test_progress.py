"""What is shown while a run goes."""

from collections.abc import Callable
from typing import Any

import pytest

from pgstead.progress import Progress


def task(role: str, name: str = "task") -> tuple[str, dict[str, Any]]:
    return "playbook_on_task_start", {"role": role, "task": name}


OK: tuple[str, dict[str, Any]] = ("runner_on_ok", {"res": {}})
CHANGED = ("runner_on_ok", {"res": {"changed": True}})
FAILED = ("runner_on_failed", {"res": {}})
RUN = [task("preflight"), OK, task("postgresql"), CHANGED, CHANGED, task("postgresql"), OK, task("", "after"), OK]

Show = Callable[..., list[str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Show:
    """shown(events): the lines that stay."""
    monkeypatch.setenv("COLUMNS", "120")

    def show(events: list[tuple[str, dict[str, Any]]], quiet: bool = False, diff: str = "") -> list[str]:
        with Progress(quiet=quiet) as progress:
            for kind, data in events:
                progress.on_event(kind, data)
            progress.show_diff(diff)
        return [line.rstrip() for line in capsys.readouterr().err.splitlines() if line.strip()]

    return show


def sections(lines: list[str]) -> list[str]:
    return [line for line in lines if line[0] in "✓✗"]


def test_every_role_that_is_done_leaves_a_line_with_its_changes(shown: Show) -> None:
    first, second = sections(shown(RUN))
    assert first.startswith("✓ preflight ")
    assert "changed" not in first
    assert second.startswith("✓ postgresql ")
    assert second.endswith(", 2 changed")


def test_a_role_that_fails_is_marked_and_the_ones_before_are_not(shown: Show) -> None:
    marks = [line.split()[:2] for line in sections(shown([*RUN[:-2], task("pgbouncer"), FAILED]))]
    assert marks == [["✓", "preflight"], ["✓", "postgresql"], ["✗", "pgbouncer"]]


def test_changes_of_loops_and_results_without_any_are_told_apart(shown: Show) -> None:
    events = [task("r"), ("runner_on_item_on_ok", {"res": {"changed": True}}), ("runner_on_ok", {"res": None}), OK]
    assert sections(shown(events))[0].endswith(", 1 changed")


def test_quiet_shows_nothing(shown: Show) -> None:
    assert shown(RUN, quiet=True, diff="-a\n+b") == []


def test_a_diff_is_shown_as_it_is(shown: Show) -> None:
    lines = shown(RUN, diff="\n-listen = [local]\n+listen = [all]\n")
    assert "-listen = [local]" in lines
    assert "+listen = [all]" in lines
