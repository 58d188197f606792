"""An instance of postgresql-common, its data directory with its configuration: made or adopted, never started."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


class RefusedError(Exception):
    """The instance cannot be made; the text says what is in the way."""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"})


@dataclass(frozen=True)
class Place:
    """Where an instance is.

    Args:
        version: major version.
        name: of the instance.
        root: the node's root directory.
    """

    version: int
    name: str
    root: Path = Path("/")

    @property
    def config(self) -> Path:
        return self.root / f"etc/postgresql/{self.version}/{self.name}"

    @property
    def data(self) -> Path:
        return self.root / f"var/lib/postgresql/{self.version}/{self.name}"

    @property
    def log(self) -> Path:
        return self.root / f"var/log/postgresql/postgresql-{self.version}-{self.name}.log"

    @property
    def binaries(self) -> Path:
        return self.root / f"usr/lib/postgresql/{self.version}/bin"

    @property
    def creating(self) -> Path:
        """Stands from before initdb until the instance is complete.

        What is beside it is most likely our own unfinished work, and is set aside; without it a data directory is never
        touched.
        """
        return self.root / f"var/lib/postgresql/.pgstead-creating-{self.version}-{self.name}"

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.name}.service"

    @property
    def exists(self) -> bool:
        """Whether there is a whole instance."""
        return (self.config / "postgresql.conf").exists() and not self.creating.exists()


def step(place: Place) -> str:
    """What has to be done for there to be an instance: "" for nothing, "make", or "start over".

    Raises:
        RefusedError: somebody else's data is in the way.
    """
    if place.exists:
        return ""
    if place.creating.exists() and not (place.data / "postmaster.opts").exists():
        return "start over"
    if place.data.exists() and any(place.data.iterdir()):
        raise RefusedError(
            f"{place.data} holds data that pgstead did not put there: it is not touched. Move it away; or, if "
            f"it is to be used, see that {place.config} is its configuration and that {place.creating} is gone."
        )
    return "make"


def make(place: Place, port: int, locale: str) -> None:
    """pg_createcluster with data checksums and UTF-8.

    Raises:
        RefusedError: it failed; what it made was set aside.
    """
    place.creating.touch()
    options = ("--port", str(port), "--encoding", "UTF8", "--locale", locale)
    done = run("pg_createcluster", str(place.version), place.name, *options, "--", "--data-checksums")
    if done.returncode:
        said = f"pg_createcluster failed: {done.stderr.strip() or done.stdout.strip()}"
        raise RefusedError("\n".join([said, *set_aside(place)]))
    place.creating.unlink()


def set_aside(place: Place) -> list[str]:
    """Moves an instance that was never started out of the way: it could be a backup that somebody put there.

    Returns:
        What was moved, in words.
    """
    aside = place.creating.with_name(f".pgstead-unfinished-{place.version}-{place.name}-{time.time():.0f}")
    told = []
    for name, directory in (("data", place.data), ("config", place.config)):
        if directory.exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            shutil.move(directory, aside / name)
            told.append(f"{directory}, an instance that was never started, was moved to {aside}")
    place.creating.unlink()
    return told
