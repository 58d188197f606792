"""The command line: one module per noun, one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from pgstead import __version__, paths
from pgstead.cli import completion, deploy, init, mirror, sandbox, tenant, tune, url, verify
from pgstead.command import log_path
from pgstead.errors import Exit, PgsteadError


def _workspace(_: click.Context, __: click.Parameter, value: Path | None) -> None:
    if value:
        os.environ["PGSTEAD_WORKSPACE"] = str(value.resolve())


def _version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(f"pgstead, version {__version__}\nworkspace {paths.workspace()}\ncontent {paths.content()}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--workspace",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="PGSTEAD_WORKSPACE",
    callback=_workspace,
    is_eager=True,
    expose_value=False,
    help="Where inventories/, vault passwords and logs are; else the nearest such directory from here upwards."
    " PGSTEAD_WORKSPACE says the same.",
)
@click.option(
    "--version",
    is_flag=True,
    callback=_version,
    is_eager=True,
    expose_value=False,
    help="Version, workspace and content, and exit.",
)
def root() -> None:
    """PostgreSQL 16 + pgvector behind PgBouncer, on your own hosts.

    \b
    Start here:
      pgstead init prod --host db1.example.com    an inventory of your own
      pgstead deploy -i prod                      makes the hosts what it declares
      pgstead verify -i prod                      asks the running system whether they are
      pgstead url -i prod                         the .env lines your app pastes

    Every verb is a playbook: plain `ansible-playbook pgstead.platform.<verb>` does the same.
    """


for command in (
    init.init,
    deploy.deploy,
    verify.verify,
    url.url,
    tenant.tenant,
    tune.tune,
    sandbox.sandbox,
    mirror.mirror,
    completion.completion,
):
    root.add_command(command)


def main() -> None:
    """Entry point of the console script; never shows a traceback for an error raised on purpose."""
    err = Console(stderr=True, highlight=False)
    try:
        root(standalone_mode=False, prog_name="pgstead")
    except PgsteadError as problem:
        err.print(f"[bold red]error:[/bold red] {escape(str(problem))}", soft_wrap=True)
        if problem.hint:
            err.print(f"[bold]next:[/bold] {escape(problem.hint)}", soft_wrap=True)
        sys.exit(problem.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.UsageError as problem:
        problem.show()
        sys.exit(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        err.print(
            "interrupted: what a node was just doing it may still finish; the next run continues where this one stopped"
        )
        sys.exit(Exit.INTERRUPTED)
    except Exception:
        log = log_path("crash")
        log.write_text(traceback.format_exc())
        err.print("[bold red]error:[/bold red] an unexpected error, probably a bug of pgstead's")
        err.print(f"[bold]next:[/bold] report it with {log}", soft_wrap=True)
        sys.exit(Exit.FAILED)
