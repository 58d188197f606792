"""`pgstead init`."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import click
import yaml

from pgstead import inventory, paths, secrets, workspace
from pgstead.command import console
from pgstead.errors import RefusedError

# What inventories/single says where an inventory of one's own says something else.
EXAMPLE = {"user": "admin", "network": "10.20.0.0/24", "database": "myapp"}


def _network(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as problem:
            raise click.BadParameter(f"{problem}; write CIDR form, like 10.0.0.0/24") from problem
    return values


def _name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,50}", value):
        raise click.BadParameter("use letters, digits, underscore and hyphen, at most 51, starting with a letter")
    return value


@click.command()
@click.argument("name", callback=_name)
@click.option("--host", prompt="Address of the database host", help="Name or address that SSH reaches.")
@click.option("--user", default=EXAMPLE["user"], show_default=True, help="SSH user; logs in with a key and may sudo.")
@click.option("--ssh-key", metavar="FILE", help="SSH private key, where it is not your default one.")
@click.option(
    "--network",
    "networks",
    metavar="CIDR",
    multiple=True,
    callback=_network,
    help="Network your clients are in; repeatable. Without it only the host itself may connect.",
)
@click.option("--database", default="myapp", show_default=True, callback=_name, help="Name of the first database.")
@click.option("--client-host", metavar="NAME", help="What the URLs say, where clients use another name than --host.")
@click.option("--node-address", metavar="IP", help="The host's own address, where --host is in front of NAT.")
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="A further line of platform.yml, for example postgresql_version=17; repeatable.",
)
def init(
    name: str,
    host: str,
    user: str,
    ssh_key: str | None,
    networks: tuple[str, ...],
    database: str,
    client_host: str | None,
    node_address: str | None,
    settings: tuple[str, ...],
) -> None:
    """Make an inventory of your own: inventories/NAME, its secrets generated and encrypted.

    The directory in which you stand becomes a workspace, with ansible.cfg, requirements.yml and .gitignore; below a
    workspace, that one gets the inventory. Nothing is contacted. Look at the two files, change what you like, then:
    pgstead deploy -i NAME
    """
    root = paths.workspace(new=True)
    target = root / "inventories" / name
    if target.exists():
        raise RefusedError(f"inventories/{name} exists; it is never overwritten", "choose another name, or edit it")
    if not networks and sys.stdin.isatty():
        answer = click.prompt("Network your clients are in (CIDR, empty for none)", default="", show_default=False)
        networks = _network(None, None, (answer,)) if answer else ()  # type: ignore[arg-type]
    example = paths.content("inventories", "single")
    host_lines = (example / "hosts.yml").read_text()
    for variable, value in (
        ("ansible_host", host),
        ("ansible_user", user),
        ("ansible_ssh_private_key_file", ssh_key),
        ("node_address", node_address),
        ("client_host", client_host),
    ):
        if value:
            line = f"{variable}: {json.dumps(value) if re.search(r'[^A-Za-z0-9_./~@-]', value) else value}"
            host_lines = re.sub(rf"(# )?\b{variable}: \S+", lambda _, line=line: line, host_lines)  # type: ignore[misc]
    platform = (example / "group_vars/all/platform.yml").read_text()
    platform = re.sub(rf"\b{EXAMPLE['database']}", database, platform)
    platform = platform.replace(f"[{EXAMPLE['network']}]", f"[{', '.join(networks)}]")
    for pair in settings:
        key, found, value = pair.partition("=")
        if not found:
            raise click.UsageError(f"--set {pair}: write KEY=VALUE")
        platform += f"{key}: {value}\n"
    try:
        declared = yaml.safe_load(platform)
    except yaml.YAMLError as problem:
        raise click.UsageError(f"--set: that is not YAML: {problem}") from problem
    try:
        (target / "group_vars" / "all").mkdir(parents=True)
        (target / "hosts.yml").write_text(host_lines)
        (target / "group_vars/all/platform.yml").write_text(platform)
        secrets.write(target, secrets.generate(secrets.names(declared)))
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        with suppress(OSError):  # that of other inventories
            target.parent.rmdir()
        raise
    _say(name, root, workspace.furnish(), inventory.vault_password_file(target))
    workspace.tell_ansible(target)


def _say(name: str, root: Path, files: list[str], password: Path) -> None:
    console.print(f"made inventories/{name}/ in the workspace {root}", soft_wrap=True)
    console.print("  hosts.yml                      where the host is", style="dim")
    console.print("  group_vars/all/platform.yml    what it shall be", style="dim")
    console.print("  group_vars/all/vault.yml       its secrets, generated, encrypted", style="dim")
    if files:
        console.print(f"made {', '.join(files)}: for plain ansible-playbook, and for git", style="dim")
    console.print(
        f"[yellow]keep a copy of the vault password in your password manager:[/yellow] {password}", soft_wrap=True
    )
    console.print(f"[bold]next:[/bold] pgstead deploy -i {name} --check, then without --check")
