"""`pgstead sandbox`: disposable nodes on this machine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
from rich.table import Table

from pgstead import inventory, secrets, workspace
from pgstead.command import Steps, console
from pgstead.errors import PgsteadError
from pgstead.sandbox import engine, nodes
from pgstead.sandbox.image import RELEASES


def _declared(inventory_name: str) -> list[nodes.Node]:
    """The nodes that an inventory declares for the sandbox."""
    declared = []
    for host, variables in inventory.hosts(inventory.locate(inventory_name)).items():
        if "sandbox_image" not in variables:
            continue
        declared.append(
            nodes.Node(
                name=variables.get("sandbox_container", variables.get("ansible_host", host)),
                address=variables["node_address"],
                image=variables["sandbox_image"],
                network=variables["sandbox_network"],
                subnet=variables["sandbox_subnet"],
                options=tuple(variables.get("sandbox_options", ())),
            )
        )
    if not declared:
        raise PgsteadError(
            f"no host of the inventory {inventory_name} has sandbox_image",
            "the sandbox is for inventories like inventories/sandbox; hosts of your own are reached over SSH",
        )
    return declared


@click.group()
def sandbox() -> None:
    """Disposable nodes on this machine: containers that boot systemd.

    They behave like bare hosts of their release. `make up` uses the inventory `sandbox`.
    """


@sandbox.command()
@click.option(
    "-i", "--inventory", "inventory_name", default="sandbox", show_default=True, help="Inventory whose hosts are made."
)
@click.option(
    "--node",
    "extra",
    metavar="NAME=ADDRESS",
    multiple=True,
    help="A node that is in no inventory yet, reached over SSH like a VM.",
)
@click.option(
    "--image", type=click.Choice(sorted(RELEASES)), default="debian-13", show_default=True, help="Release of --node."
)
@click.option(
    "--ssh-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Public key that may log in to --node as root and as admin (who may sudo).",
)
def up(inventory_name: str, extra: tuple[str, ...], image: str, ssh_key: Path | None) -> None:
    """Make the nodes of an inventory, or a single one with --node; what runs already stays."""
    steps = Steps("sandbox-up")
    if inventory_name == "sandbox":
        workspace.sandbox()
    where = inventory.locate(inventory_name)
    secrets.ensure(where, steps)
    wanted = _declared(inventory_name)
    if extra:
        template = wanted[0]
        key = ssh_key.read_text().strip() if ssh_key else ""
        wanted = []
        for pair in extra:
            name, found, address = pair.partition("=")
            if not found:
                raise click.UsageError(f"--node {pair}: write NAME=ADDRESS, for example vm1=10.213.7.21")
            wanted.append(nodes.Node(name, address, image, template.network, template.subnet, ssh_key=key))
    nodes.up(wanted, steps)


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def status(as_json: bool) -> None:
    """Every node of every sandbox network, and whether its systemd runs."""
    rows = [
        {"network": network, **node, "systemd": nodes.boot_state(node["name"]) if node["state"] == "running" else ""}
        for network in nodes.networks()
        for node in nodes.on_network(network)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("network", "node", "state", "systemd", "image")
    for row in rows:
        table.add_row(row["network"], row["name"], row["state"], row["systemd"], row["image"])
    console.print(table if rows else "no sandbox node; `pgstead sandbox up` makes one")


@sandbox.command()
@click.argument("node")
@click.argument("command", nargs=-1)
def shell(node: str, command: tuple[str, ...]) -> None:
    """A root shell in NODE, or one COMMAND in it."""
    if nodes.state_of(node) != "running":
        raise PgsteadError(f"node {node} is not running", "pgstead sandbox status lists the nodes")
    terminal = ["-t"] if sys.stdin.isatty() else []
    os.execvp("docker", ["docker", "exec", "-i", *terminal, node, *(command or ("bash",))])  # noqa: S606


@sandbox.command()
@click.option(
    "-i",
    "--inventory",
    "inventory_name",
    default="sandbox",
    show_default=True,
    help="Inventory whose network is removed, with every node on it.",
)
@click.option(
    "--clean",
    is_flag=True,
    help="Also what nodes share (images, package cache, the engine that pgstead started) "
    "once no other sandbox is left.",
)
def down(inventory_name: str, clean: bool) -> None:
    """Remove the nodes of an inventory, their network, and the secrets generated for them."""
    steps = Steps("sandbox-down")
    where = inventory.locate(inventory_name)
    declared = _declared(inventory_name)
    if len(declared) < len(inventory.hosts(where)):
        raise PgsteadError(
            f"the inventory {inventory_name} also has hosts that are no sandbox nodes: its secrets are not removed",
            "keep sandbox nodes in an inventory of their own",
        )
    if not engine.running():
        steps.say("no Docker Engine answers: there is nothing to remove in it")
    else:
        for network in sorted({node.network for node in declared}):
            nodes.down(network, steps)
        if clean:
            nodes.clean(steps)
    secrets.forget(where)
