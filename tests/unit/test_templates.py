"""Where a template goes, and where one of the user's is looked for."""

from pathlib import Path

import pytest

from ansible_collections.pgstead.platform.plugins.plugin_utils import templates


def test_the_path_of_a_template_is_that_of_its_file() -> None:
    assert templates.destination("etc/pgbouncer/hba.conf.j2") == "/etc/pgbouncer/hba.conf"


def test_the_named_directory_wins_over_the_workspace_and_both_over_the_role(tmp_path: Path) -> None:
    places = templates.folders(str(tmp_path), "shop", "/play", "/platform/inventories/prod")
    workspace = ["/play/templates/shop", "/platform/inventories/prod/templates/shop", "/platform/templates/shop"]
    assert [str(place) for place in places] == [str(tmp_path), *workspace]
    assert templates.locate("a.j2", places) == "a.j2"
    (tmp_path / "a.j2").touch()
    assert templates.locate("a.j2", places) == str(tmp_path / "a.j2")
    assert templates.folders("", "shop", None, None) == []


def test_a_directory_that_is_not_there_is_no_silent_absence() -> None:
    with pytest.raises(ValueError, match="/nowhere: there is no such directory of templates"):
        templates.folders("/nowhere", "shop", None, None)
