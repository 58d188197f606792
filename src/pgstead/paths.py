"""Where things are: the workspace, which is the user's own, and the content, which is the collection pgstead.platform.

Standing in a checkout of pgstead, it is both.
"""

from __future__ import annotations

import configparser
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pgstead.errors import PgsteadError

_CHECKOUT = Path(__file__).resolve().parents[2]  # or no checkout at all, where this is installed from a wheel


def workspace(new: bool = False) -> Path:
    """Where inventories, vault passwords, logs and caches are.

    `pgstead --workspace` or PGSTEAD_WORKSPACE, else the nearest directory with inventories/ at or above the one in
    which the user stands, else the checkout that this package was installed from, else where the user stands.

    Args:
        new: a checkout in which the user does not stand is not taken.
    """
    if named := os.environ.get("PGSTEAD_WORKSPACE"):
        return Path(named).resolve()
    here = Path.cwd()
    candidates = [here, *here.parents, *([] if new else [_CHECKOUT])]
    return next((path for path in candidates if (path / "inventories").is_dir()), here)


def configured(setting: str, default: str) -> list[Path]:
    """Directories that Ansible takes from its environment or the workspace's ansible.cfg."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    settings.read(workspace() / "ansible.cfg")
    written = str(settings.get("defaults", setting, fallback=default))
    given = os.environ.get(f"ANSIBLE_{setting.upper()}") or written
    return [workspace() / Path(folder.strip()).expanduser() for folder in given.split(":")]


def collections() -> list[Path]:
    """Directories that collections are in, by the order in which Ansible looks."""
    found = configured("collections_path", "~/.ansible/collections:/usr/share/ansible/collections")
    installed = find_spec("ansible_collections")  # by pip; it has no __init__.py and may be in several places
    beside = map(Path, (installed and installed.submodule_search_locations) or ())
    return [*(folder / "ansible_collections" for folder in found), *beside]


def contents() -> list[Path]:
    """Every collection pgstead.platform that Ansible finds from the workspace: first the one that it takes."""
    found = [folder / "pgstead/platform" for folder in collections()]
    return [path.resolve() for path in found if (path / "playbooks/site.yml").is_file()]


def content(*parts: str) -> Path:
    """The collection, or a path in it. An archive from Galaxy lacks ansible.cfg and examples: the next one has them.

    Raises:
        PgsteadError: no collection has it.
    """
    for path in contents():
        if path.joinpath(*parts).exists():
            return path.joinpath(*parts)
    raise PgsteadError(
        f"no collection pgstead.platform{f' with {Path(*parts)}' if parts else ''} is found from {workspace()}",
        "install the Python package pgstead again: it brings the collection along",
    )


def settings() -> Path:
    """The ansible.cfg of the workspace, else the one that `pgstead init` would make it from."""
    own = workspace() / "ansible.cfg"
    return own if own.is_file() else content("ansible.cfg")


def state(*parts: str) -> Path:
    """A path below the workspace's `.pgstead/` (logs, caches, password files), its parent directory made.

    The directory is readable by its owner alone, and git leaves it out: it holds vault passwords.
    """
    root = workspace() / ".pgstead"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (ignored := root / ".gitignore").exists():
        ignored.write_text("*\n")
    path = root.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Lets one process of this workspace at a time into the block; the others wait."""
    with state(f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
