"""Where things are: the checkout, and the state that pgstead keeps in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgstead.errors import PgsteadError


def home() -> Path:
    """The directory with ansible.cfg, playbooks/ and roles/.

    `PGSTEAD_HOME` wins, then the nearest such directory above the working directory, then the
    checkout this package was installed from.

    Raises:
        PgsteadError: none of the three is a pgstead checkout.
    """
    candidates = [Path(os.environ["PGSTEAD_HOME"])] if "PGSTEAD_HOME" in os.environ else []
    cwd = Path.cwd()
    candidates += [cwd, *cwd.parents, Path(__file__).resolve().parents[2]]
    for candidate in candidates:
        if (candidate / "playbooks" / "site.yml").is_file() and (candidate / "roles").is_dir():
            return candidate.resolve()
    raise PgsteadError(
        "no pgstead checkout here: playbooks/site.yml was not found",
        "change into your checkout, or set PGSTEAD_HOME to it",
    )


def state(*parts: str) -> Path:
    """A path below `.pgstead/` (logs, caches, password files), its parent directory made.

    The directory is readable by its owner alone: it holds the sandbox's vault password.
    """
    root = home() / ".pgstead"
    root.mkdir(mode=0o700, exist_ok=True)
    path = root.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Lets one process of this checkout at a time into the block; the others wait."""
    with state(f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
