"""Where the workspace and the content are, and what is kept in the workspace."""

from pathlib import Path

import pytest

from pgstead import paths
from pgstead.errors import PgsteadError

CHECKOUT = Path(paths.__file__).resolve().parents[2]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in no workspace, in which the user stands."""
    monkeypatch.delenv("PGSTEAD_WORKSPACE", raising=False)
    monkeypatch.delenv("ANSIBLE_COLLECTIONS_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def collection(root: Path) -> Path:
    """A collection of this name in a folder for collections."""
    made = root / "ansible_collections/pgstead/platform"
    (made / "playbooks").mkdir(parents=True)
    (made / "playbooks/site.yml").touch()
    return made


def test_the_workspace_that_is_named_wins_over_the_working_directory(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other/inventories").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "other")
    assert paths.workspace() == home
    monkeypatch.delenv("PGSTEAD_WORKSPACE")
    assert paths.workspace() == tmp_path / "other"


def test_the_nearest_workspace_above_is_taken(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "inventories/prod").mkdir(parents=True)
    monkeypatch.chdir(nowhere / "inventories/prod")
    assert paths.workspace() == paths.workspace(new=True) == nowhere


def test_outside_of_every_workspace_it_is_the_checkout_of_this_package_or_where_the_user_stands(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.workspace() == CHECKOUT
    assert paths.workspace(new=True) == nowhere
    monkeypatch.setattr(paths, "_CHECKOUT", nowhere / "lib/python3")  # installed from a wheel
    assert paths.workspace() == nowhere


def test_the_content_is_what_ansible_takes_the_workspace_s_own_before_python_s(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "inventories").mkdir()
    assert paths.content() == CHECKOUT
    own = collection(nowhere / "here")
    (nowhere / "ansible.cfg").write_text("[defaults]\ncollections_path = here:/nowhere\n")
    assert paths.content() == own
    assert paths.content("inventories", "single") == CHECKOUT / "inventories/single"
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", "/nowhere")
    assert paths.content() == CHECKOUT


def test_without_content_it_says_so(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "find_spec", lambda _: None)
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", "/nowhere")
    with pytest.raises(PgsteadError, match=r"no collection pgstead\.platform is found") as refused:
        paths.content()
    assert "install the Python package" in refused.value.hint


def test_settings_are_the_workspace_s_else_those_that_come_with_pgstead(nowhere: Path) -> None:
    (nowhere / "inventories").mkdir()
    assert paths.settings() == CHECKOUT / "ansible.cfg"
    (nowhere / "ansible.cfg").touch()
    assert paths.settings() == nowhere / "ansible.cfg"


def test_state_is_kept_in_the_workspace_for_its_owner_alone_and_out_of_git(home: Path) -> None:
    path = paths.state("logs", "a.log")
    assert path == home / ".pgstead/logs/a.log"
    assert path.parent.is_dir()
    assert (home / ".pgstead").stat().st_mode & 0o777 == 0o700
    assert (home / ".pgstead/.gitignore").read_text() == "*\n"
