"""Templates of files: where one goes, and whose is taken where several have its path."""

from __future__ import annotations

from pathlib import Path


def destination(src: str) -> str:
    """Path on the node of a template whose place in a role's templates/ mirrors it."""
    return "/" + src.removesuffix(".j2")


def folders(own: str, role: str, playbooks: str | None, inventory: str | None) -> list[Path]:
    """Where templates of the user's are looked for, the one that wins first.

    Args:
        own: the directory that the task names, "" for none.
        role: whose templates they are.
        playbooks: directory of the playbook that runs.
        inventory: directory of the inventory; a workspace has it in inventories/.

    Raises:
        ValueError: the named directory does not exist.
    """
    if own and not Path(own).is_dir():
        raise ValueError(f"{own}: there is no such directory of templates; write its whole path")
    found = [Path(own)] if own else []
    places = [Path(playbooks)] if playbooks else []
    if inventory:
        places += [Path(inventory), Path(inventory).parent.parent]
    return found + [place / "templates" / role for place in places]


def locate(src: str, folders: list[Path]) -> str:
    """The template: the user's own where one has this path, else as it is, to be looked for in the role."""
    return str(next((folder / src for folder in folders if (folder / src).is_file()), src))
