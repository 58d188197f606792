"""`pgstead deploy`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pgstead import runner
from pgstead.cli import playbook
from pgstead.errors import Exit


@click.command()
@playbook.options
@click.option("--check", is_flag=True, help="Change nothing; say what would change.")
@click.option("--diff", is_flag=True, help="Show every difference.")
@click.option("-t", "--tags", metavar="TAGS", help="Only these parts, for example postgresql or pgbouncer.")
@click.option("--prune", is_flag=True, help="Drop roles, memberships and rights that are not declared; lists them.")
@click.option("--restart", is_flag=True, help="Settings that need it may restart the server.")
def deploy(
    where: Path,
    extra: list[str],
    vault_password_file: Path | None,
    check: bool,
    diff: bool,
    tags: str | None,
    prune: bool,
    restart: bool,
) -> None:
    """Make the hosts what platform.yml declares.

    The same as: ansible-playbook -i inventories/NAME pgstead.platform.site
    A playbooks/site.yml of the workspace's own is run in its place; likewise for the other verbs.
    """
    extra += ["--check"] if check else []
    extra += ["--diff"] if diff or check else []
    extra += ["--tags", tags] if tags else []
    extra += ["-e", '{"postgresql_prune": true}'] if prune else []
    extra += ["-e", '{"postgresql_restart": true}'] if restart else []
    outcome = runner.run("deploy", where, extra, vault_password_file=vault_password_file)
    changed = sum(outcome.changed.values())
    state = "nothing was changed; would change" if check else f"{where.name} is as declared; changed"
    done = f"[bold green]done:[/bold green] {state}={changed}"
    if outcome.exit_code is not Exit.OK:  # no failure of a task: a site.yml of the user's may end with pgstead's verify
        done = f"[bold red]lines of the checklist do not hold:[/bold red] pgstead verify -i {where.name} shows them"
    playbook.tell(outcome, done)
    sys.exit(outcome.exit_code)
