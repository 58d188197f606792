"""Tasks of the user's own, before and after a service starts: each sees what it is there for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import HOME, playbook

PSQL = "runuser -u postgres -- psql -XAtqh /var/run/postgresql -p {port} postgres -c 'SHOW work_mem'"
CONSOLE = (
    "runuser -u pgbouncer -- psql -XAtqh /run/pgbouncer -p 6432 -U pgbouncer pgbouncer -c 'SHOW CONFIG'"
    " | grep '^query_wait_timeout'"
)


def hooks(folder: Path, service: str, command: str) -> dict[str, list[str]]:
    """A task file before and one after, which append what a command says to /root/seen on the node."""
    inputs = {}
    for place in ("before", "after"):
        file = folder / f"{service}-{place}.yml"
        shell = f"({command}) 2>&1 | sed 's/^/{place}: /' >> /root/seen"
        task = {"name": place, "ansible.builtin.shell": shell, "loop": [1], "changed_when": False}
        file.write_text(json.dumps([task]))  # YAML all the same
        inputs[f"{service}_{place}_start_tasks"] = [str(file)]
    return inputs


def deployed(inputs: dict[str, Any], node: Any, *arguments: str) -> list[str]:
    """Deploys with these inputs; what the hooks saw."""
    node.check_output("rm -f /root/seen")
    run = playbook("site", "-e", json.dumps(inputs), *arguments)
    assert run["rc"] == 0, run["stdout"]
    return list(node.file("/root/seen").content_string.splitlines())


def test_what_comes_before_sees_the_old_setting_and_what_comes_after_the_new_one(node: Any, tmp_path: Path) -> None:
    server = hooks(tmp_path, "postgresql", PSQL.format(port=5432))
    pooler = hooks(tmp_path, "pgbouncer", CONSOLE)
    changed = {"postgresql_settings": {"work_mem": "7MB"}, "pgbouncer_query_wait_timeout": 99}
    before, after, *console = deployed(changed | server | pooler, node)
    assert before.startswith("before: ") and before != "before: 7MB"
    assert after == "after: 7MB"
    assert [line.split("|")[:2] for line in console] == [
        ["before: query_wait_timeout", "120"], ["after: query_wait_timeout", "99"],
    ]  # fmt: skip
    assert len(deployed(server, node, "--tags", "postgresql_configure")) == 2  # also where a part is deployed
    assert playbook("site")["changed"] == 1  # the pooler: back to what is declared


def test_before_the_first_start_there_is_a_data_directory_that_nobody_started(node: Any, tmp_path: Path) -> None:
    data = "/var/lib/postgresql/16/hooked"
    command = f"cat {data}/PG_VERSION; ls {data}/postmaster.pid {data}/postmaster.opts | wc -l"
    where = {"postgresql_instance": "hooked", "postgresql_port": 5433, "pgbouncer_port": 6433}
    try:
        seen = deployed(where | hooks(tmp_path, "postgresql", command), node, "--tags", "postgresql_configure")
        assert [line for line in seen if "cannot access" not in line] == [
            "before: 16", "before: 0", "after: 16", "after: 2",
        ]  # fmt: skip
    finally:
        node.check_output("pg_dropcluster --stop 16 hooked")


@pytest.mark.parametrize("name", ["postgresql_before_start_tasks", "pgbouncer_after_start_tasks"])
@pytest.mark.parametrize("file", ["/nowhere/tasks.yml", "roles/postgresql/tasks/main.yml"], ids=["absent", "relative"])
def test_a_file_that_is_not_there_is_refused_before_the_role_changes_anything(
    name: str, file: str, superuser: Any, console: Any
) -> None:
    assert HOME.joinpath("roles/postgresql/tasks/main.yml").is_file()
    role = name.partition("_")[0]
    changes = {"postgresql_settings": {"work_mem": "6MB"}, "pgbouncer_query_wait_timeout": 98, name: [file]}
    run = playbook("site", "-e", json.dumps(changes), "--tags", role)
    assert run["rc"] == 2
    assert f"{file}: no file of tasks on the control node by this path; write the whole path" in run["stdout"]
    assert superuser("SHOW work_mem") != "6MB"
    assert [row["value"] for row in console("SHOW CONFIG") if row["key"] == "query_wait_timeout"] == ["120"]


def test_a_task_that_fails_before_the_start_keeps_the_files_as_they_are(superuser: Any, tmp_path: Path) -> None:
    file = tmp_path / "no.yml"
    file.write_text('[{"name": "No", "ansible.builtin.fail": {"msg": "not today"}}]')
    changes = {"postgresql_settings": {"work_mem": "6MB"}, "postgresql_before_start_tasks": [str(file)]}
    run = playbook("site", "-e", json.dumps(changes))
    assert run["rc"] == 2 and "not today" in run["stdout"]
    assert superuser("SHOW work_mem") != "6MB"
    assert playbook("site")["changed"] == 0
