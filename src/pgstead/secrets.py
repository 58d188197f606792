"""Generated secrets of an inventory, kept in an ansible-vault file beside platform.yml."""

from __future__ import annotations

import os
import secrets as random
import subprocess
from pathlib import Path
from typing import Any

import yaml

from pgstead import workspace
from pgstead.command import Steps
from pgstead.errors import PgsteadError
from pgstead.inventory import ansible, environment, vault_password_file

PASSWORD_BYTES = 24  # 192 bits: 32 characters that need no quoting anywhere


class _Literal(str):
    """A value that Ansible must not read as a template, whatever characters it has."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes _Literal with Ansible's tag for that."""


_Dumper.add_representer(_Literal, lambda dumper, value: dumper.represent_scalar("!unsafe", value, style='"'))


def vault_file(inventory: Path) -> Path:
    """The vault file of an inventory."""
    return inventory / "group_vars" / "all" / "vault.yml"


def names(platform: dict[str, Any]) -> list[str]:
    """The secrets that a platform.yml needs: a password per login role, and what the enabled roles say they need."""
    from ansible.errors import AnsibleError  # noqa: PLC0415 - Ansible takes half a second, and only this needs it

    from ansible_collections.pgstead.platform.plugins.plugin_utils import (  # noqa: PLC0415 - only here
        declaration,
        model,
        rooms,
        shape,
    )

    known = workspace.rooms()
    defaults = rooms.defaults(known)
    evaluate = rooms.evaluator(defaults | platform)

    def probably(value: Any) -> Any:
        """A secret too many harms nobody, where only a host's own variables can say."""
        try:
            return evaluate(value)
        except AnsibleError:
            return True

    guests = rooms.enabled(known, probably)
    declared = {"databases": platform.get("databases") or [], "cluster_roles": platform.get("cluster_roles") or []}
    try:
        expanded = model.expand(**declared, guests=guests)
    except (AttributeError, KeyError, TypeError, ValueError):  # preflight will say what is wrong, all of it
        wrong = shape.check(declared, rooms.inputs(known, guests))
        sound = declaration.sound(declared, wrong, {"databases": [], "cluster_roles": []})
        expanded = model.expand(sound["databases"], sound["cluster_roles"], guests)
    return [secret.name for secret in declaration.wanted(expanded, guests)]


def generate(wanted: list[str]) -> dict[str, str]:
    """A random secret for every name."""
    return {name: random.token_urlsafe(PASSWORD_BYTES) for name in wanted}


def ensure(inventory: Path, steps: Steps) -> None:
    """Generates the inventory's vault and its password where there is none yet."""
    target = vault_file(inventory)
    if target.exists():
        return
    platform = yaml.safe_load((inventory / "group_vars" / "all" / "platform.yml").read_text()) or {}
    with steps.step(f"Generating secrets into {os.path.relpath(target)} (encrypted)"):
        fixed = inventory / "sandbox_secrets.yml"  # for tests of passwords that are hard to quote
        chosen = yaml.safe_load(fixed.read_text()) if fixed.exists() else {}
        write(inventory, generate(names(platform)) | chosen)


def write(inventory: Path, values: dict[str, str]) -> None:
    """Encrypts `values` into the inventory's vault file; makes its password where there is none.

    The plaintext goes to ansible-vault over a pipe and is never on disk.
    """
    password = vault_password_file(inventory)
    if not password.exists():
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(random.token_urlsafe(PASSWORD_BYTES) + "\n")
    text = "# Secrets of this inventory, by the names that platform.yml uses. Edit with ansible-vault edit.\n"
    text += yaml.dump({"secrets": {k: _Literal(v) for k, v in values.items()}}, Dumper=_Dumper, allow_unicode=True)
    done = subprocess.run(
        [
            ansible("ansible-vault"),
            "encrypt",
            "--encrypt-vault-id",
            "default",  # of this password file, whatever else ansible.cfg names
            "--vault-password-file",
            str(password),
            "--output",
            str(vault_file(inventory)),
            "-",
        ],
        input=text,
        text=True,
        capture_output=True,
        check=False,
        env=environment(own_password=True),
    )
    if done.returncode:
        raise PgsteadError(f"ansible-vault could not encrypt {vault_file(inventory)}: {done.stderr.strip()}")


def forget(inventory: Path) -> None:
    """Removes the generated vault and its password (of a sandbox whose databases are gone)."""
    vault_file(inventory).unlink(missing_ok=True)
    vault_password_file(inventory).unlink(missing_ok=True)
