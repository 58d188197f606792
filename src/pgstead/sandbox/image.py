"""Node images: built once per release, reused by every node.

From Docker Hub where it is reachable, else from mmdebstrap through this machine's own APT mirror.
Both end in the same provisioning script, so a node is the same whatever it was made of.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from importlib import resources

from pgstead import paths
from pgstead.command import Steps, output_of, succeeds
from pgstead.errors import PgsteadError
from pgstead.sandbox import engine

LABEL = "pgstead.image"


@dataclass(frozen=True)
class Release:
    """A distribution release that nodes can be made of."""

    name: str  #: as written in an inventory's `sandbox_image`
    origin: str  #: "Debian" or "Ubuntu", as in the APT Release file
    suite: str
    hub: str  #: image on Docker Hub

    @property
    def tag(self) -> str:
        return f"pgstead/node:{self.name}"


RELEASES = {
    r.name: r
    for r in (
        Release("debian-13", "Debian", "trixie", "debian:trixie"),
        Release("debian-12", "Debian", "bookworm", "debian:bookworm"),
        Release("ubuntu-24.04", "Ubuntu", "noble", "ubuntu:24.04"),
        Release("ubuntu-22.04", "Ubuntu", "jammy", "ubuntu:22.04"),
    )
}


def ensure(name: str, steps: Steps) -> str:
    """The tag of the node image of this release; built, or loaded from the cache, where it is missing.

    Raises:
        PgsteadError: unknown release, or neither Docker Hub nor mmdebstrap can make it.
    """
    if name not in RELEASES:
        raise PgsteadError(f"unknown node image {name!r}", f"choose one of {', '.join(RELEASES)} as sandbox_image")
    release = RELEASES[name]
    if succeeds("docker", "image", "inspect", release.tag):
        return release.tag
    cached = paths.state("cache", f"node-{name}.tar")
    if cached.exists():
        with steps.step(f"Loading the node image {name} from the cache"):
            steps.run("docker", "load", "-i", str(cached))
        return release.tag
    base = _base(release, steps)
    with steps.step(f"Provisioning the node image {name}"):
        _provision(base, release, steps)
        partial = cached.with_suffix(".partial")
        steps.run("docker", "save", "-o", str(partial), release.tag)
        partial.rename(cached)
    return release.tag


def _base(release: Release, steps: Steps) -> str:
    """A bare root file system of the release as a local Docker image: its name."""
    if succeeds("docker", "image", "inspect", release.hub) or _pull(release, steps):
        return release.hub
    base = f"pgstead/base:{release.name}"
    if succeeds("docker", "image", "inspect", base):
        return base
    if not shutil.which("mmdebstrap"):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise PgsteadError(
                f"the image {release.hub} cannot be pulled, and mmdebstrap is missing",
                "give Docker access to Docker Hub, or install mmdebstrap, then run this again",
            )
        with steps.step("Installing mmdebstrap: Docker Hub is out of reach and you are root"):
            engine.apt_install(steps, "mmdebstrap")
    with steps.step(f"Making a bare {release.name} with mmdebstrap (Docker Hub is out of reach)"):
        tar = paths.state("cache", f"base-{release.name}.tar")
        settings = [f"--aptopt={line}" for line in apt_settings()]
        steps.run(
            "mmdebstrap",
            "--variant=minbase",
            *settings,
            release.suite,
            str(tar),
            *apt_lines(release),
            hint=f"does this machine's APT mirror carry {release.suite}?",
        )
        steps.run("docker", "import", "--change", f"LABEL {LABEL}={release.name}", str(tar), base)
        tar.unlink()
    return base


def _pull(release: Release, steps: Steps) -> bool:
    with steps.step(f"Asking Docker Hub for {release.hub}"):
        return succeeds("docker", "pull", "-q", release.hub, timeout=300)


def _provision(base: str, release: Release, steps: Steps) -> None:
    script = resources.files("pgstead.sandbox").joinpath("files/provision.sh").read_bytes()
    settings = "".join(f"{line}\n" for line in apt_settings())
    if settings:
        script = f"cat > /etc/apt/apt.conf.d/80mirror <<'E'\n{settings}E\n".encode() + script
    container = f"pgstead-provision-{os.getpid()}"
    try:
        steps.run("docker", "run", "--name", container, "-i", base, "sh", "-s", stdin=script)
        steps.run(
            "docker",
            "commit",
            "--change",
            f"LABEL {LABEL}={release.name}",
            "--change",
            'CMD ["/sbin/init"]',
            container,
            release.tag,
        )
    finally:
        steps.run("docker", "rm", "-f", container)


def apt_lines(release: Release) -> list[str]:
    """One-line-style APT sources for the release from the mirrors this machine itself uses.

    Empty where this machine has no mirror of that distribution: mmdebstrap then takes its defaults.
    """
    if not shutil.which("apt-get"):
        return []
    listed = output_of(
        "apt-get", "indextargets", "--format", "$(ORIGIN) $(RELEASE) $(REPO_URI)", "Identifier: Packages"
    )
    mirrors: dict[str, str] = {}
    for origin, suite, uri in (line.split() for line in listed.splitlines() if line.count(" ") == 2):
        if origin == release.origin:
            mirrors.setdefault("-security" if suite.endswith("-security") else "", uri)
    if "" not in mirrors:
        return []
    components = "main universe" if release.origin == "Ubuntu" else "main"
    pockets = {"": mirrors[""], "-updates": mirrors[""]} | mirrors
    return [f"deb {uri} {release.suite}{pocket} {components}" for pocket, uri in pockets.items()]


def apt_settings() -> list[str]:
    """How this machine reaches its APT mirror, as apt.conf lines for nodes that share its network.

    Proxies, and whether the mirror is a snapshot whose Release files may be past their date.
    """
    if not shutil.which("apt-config"):
        return []
    dump = output_of("apt-config", "dump")
    return re.findall(r'^Acquire::(?:https?::Proxy\S*|Check-Valid-Until|Check-Date) ".+";$', dump, flags=re.MULTILINE)


def remove_all(steps: Steps) -> None:
    """Removes every image this module made; what Docker pulled stays."""
    images = output_of("docker", "image", "ls", "-q", "--filter", f"label={LABEL}").split()
    if images:
        steps.run("docker", "image", "rm", "-f", *sorted(set(images)))
