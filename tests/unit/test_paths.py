"""Where the checkout is, and what is kept in it."""

from pathlib import Path

import pytest

from pgstead import paths
from pgstead.errors import PgsteadError


def test_the_variable_wins_over_the_working_directory(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "playbooks").mkdir(parents=True)
    (other / "roles").mkdir()
    (other / "playbooks/site.yml").touch()
    monkeypatch.chdir(other)
    assert paths.home() == home
    monkeypatch.delenv("PGSTEAD_HOME")
    assert paths.home() == other


def test_the_nearest_checkout_above_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSTEAD_HOME")
    monkeypatch.chdir(home / "inventories/single")
    assert paths.home() == home


def test_outside_of_every_checkout_it_is_the_one_of_this_package_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGSTEAD_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert paths.home() == Path(paths.__file__).resolve().parents[2]
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "a/b/c/paths.py"))  # installed without its checkout
    with pytest.raises(PgsteadError, match="no pgstead checkout here") as refused:
        paths.home()
    assert "PGSTEAD_HOME" in refused.value.hint


def test_state_is_kept_in_the_checkout_for_its_owner_alone(home: Path) -> None:
    path = paths.state("logs", "a.log")
    assert path == home / ".pgstead/logs/a.log"
    assert path.parent.is_dir()
    assert (home / ".pgstead").stat().st_mode & 0o777 == 0o700
