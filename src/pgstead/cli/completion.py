"""`pgstead completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: pgstead completion bash > ~/.local/share/bash-completion/completions/pgstead
    zsh:  pgstead completion zsh > "${fpath[1]}/_pgstead"
    fish: pgstead completion fish > ~/.config/fish/completions/pgstead.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(context.find_root().command, {}, "pgstead", "_PGSTEAD_COMPLETE").source())
