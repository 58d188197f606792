"""Makes a directory a workspace: what `pgstead` and plain `ansible-playbook` need in it, beside the inventories.

A file that is there is the user's and stays as it is.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pgstead import __version__, paths
from pgstead.command import console
from pgstead.inventory import vault_password_file

if TYPE_CHECKING:
    from ansible_collections.pgstead.platform.plugins.plugin_utils.rooms import Room

_GITIGNORE = """\
# Vault passwords, logs and caches. The vaults themselves are encrypted: they belong into git, as platform.yml does.
/.pgstead/
/inventories/sandbox/group_vars/all/vault.yml
.env*
!.env.example
*.retry
"""
_REQUIREMENTS = f"""\
---
# For machines with ansible-core and without the Python package pgstead, which has all of this:
# `ansible-galaxy collection install -r requirements.yml`. The archive's path or URL may stand as the name.
collections:
  - name: pgstead.platform
    version: "{__version__}"
"""


def furnish() -> list[str]:
    """Writes what is missing of ansible.cfg, requirements.yml and .gitignore: the names of those."""
    settings = paths.content("ansible.cfg").read_text().replace("[defaults]\n", "[defaults]\nroles_path = roles\n", 1)
    files = {"ansible.cfg": settings, "requirements.yml": _REQUIREMENTS, ".gitignore": _GITIGNORE}
    missing = [name for name in files if not (paths.workspace() / name).exists()]
    for name in missing:
        (paths.workspace() / name).write_text(files[name])
    return missing


def rooms() -> tuple[Room, ...]:
    """What roles bring: those of the content, of other collections, and of the workspace's own."""
    from ansible_collections.pgstead.platform.plugins.plugin_utils import rooms as found  # noqa: PLC0415 - few ask

    own = paths.configured("roles_path", "roles")
    return found.find(found.folders(paths.collections(), own, [paths.workspace()]))


def tell_ansible(inventory: Path) -> None:
    """Names the inventory's vault password in ansible.cfg, for plain `ansible-playbook`.

    Not in a checkout, whose ansible.cfg is everybody's, and not beside a password that the user has named.
    """
    root = paths.workspace()
    settings = root / "ansible.cfg"
    text, key = settings.read_text(), "vault_identity_list = "
    entry = f"{inventory.name}@{vault_password_file(inventory).relative_to(root)}"
    if key in text:
        settings.write_text(text.replace(key, f"{key}{entry}, ", 1))
    elif "vault_" not in text and root not in paths.contents():
        settings.write_text(text.replace("[defaults]\n", f"[defaults]\n{key}{entry}\n", 1))


def sandbox() -> None:
    """Copies the example inventory `sandbox` where the workspace has none of this name."""
    root = paths.workspace()
    target = root / "inventories" / "sandbox"
    if not target.exists():
        shutil.copytree(paths.content("inventories", "sandbox"), target, ignore=shutil.ignore_patterns("vault.yml"))
        furnish()
        console.print(f"made inventories/sandbox/ in the workspace {root}", soft_wrap=True)
