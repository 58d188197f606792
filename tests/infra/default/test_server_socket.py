"""The pooler in front of a server with a socket of its own: asked, set up and watched there, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import DECLARED, INVENTORY, ask, pgstead, playbook

from ansible_collections.pgstead.platform.plugins.module_utils import pooler

APP = DECLARED.role("app")
NEED = pooler.backend_demand(DECLARED.model)
PLACE = "/srv/other-server"
ELSEWHERE = ("--tags", "pgbouncer", "-e", f"pgbouncer_server_socket={PLACE}")
START = f"""
    set -e
    install -d -o postgres {PLACE}
    as="runuser -u postgres -- /usr/lib/postgresql/{DECLARED.version}/bin"
    $as/initdb -D {PLACE}/data -A peer --no-sync
    options="-k {PLACE} -p 5432 -c listen_addresses= -c max_connections={NEED + 2}"
    $as/pg_ctl -D {PLACE}/data -l {PLACE}/log -w -o "$options" start
"""


@pytest.fixture
def other(node: Any) -> Iterator[None]:
    """A server that pgstead did not make, on the same port, reached by its socket alone."""
    made = node.run("sh -c %s", START)
    assert made.rc == 0, made.stdout + made.stderr
    yield
    back = playbook("site", "--tags", "pgbouncer")
    stop = f"runuser -u postgres -- /usr/lib/postgresql/{DECLARED.version}/bin/pg_ctl -D {PLACE}/data -m fast stop"
    node.run(f"{stop}; rm -rf {PLACE}")
    assert back["changed"] == 1
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]


def test_another_socket_is_where_the_lookup_the_pools_and_the_checklist_go(node: Any, other: None) -> None:
    run = playbook("site", *ELSEWHERE)
    assert (run["rc"], run["changed"]) == (0, 2), run["stdout"]
    admits = f"admits {NEED - 1}"  # three are the superuser's
    assert f"The pools may open {NEED} connections, but the running server {admits}" in run["stdout"]
    lookup = "SELECT to_regprocedure('pgbouncer.lookup(text)')"
    found = node.run(f'runuser -u postgres -- psql -XAtq -h {PLACE} -c "{lookup}"').stdout
    assert found.strip() == "pgbouncer.lookup(text)"
    assert playbook("site", *ELSEWHERE)["changed"] == 0
    done = pgstead("verify", "-i", str(INVENTORY), *ELSEWHERE[2:], "--json", check=False)
    lines = {line["title"]: line["found"] for line in json.loads(done.stdout)["hosts"]["db1"]["lines"]}
    assert lines["finds room for all its pools in the server"].endswith(f"the server {admits}")


def test_a_socket_on_which_nobody_listens_is_an_error_before_the_pooler_is_touched(node: Any) -> None:
    before = node.file("/etc/pgbouncer/pgbouncer.ini").content_string
    run = playbook("site", "--tags", "pgbouncer", "-e", "pgbouncer_server_socket=/srv/nowhere")
    assert run["rc"] and 'socket "/srv/nowhere/.s.PGSQL.5432" failed' in run["stdout"]
    assert node.file("/etc/pgbouncer/pgbouncer.ini").content_string == before
