"""The PGDG path: its key is checked, and nothing but PostgreSQL comes from it."""

from __future__ import annotations

from typing import Any

from conftest import HOME, Declared, deploy, playbook


def test_the_server_came_from_the_source_and_is_pinned_to_its_minor(node: Any, declared: Declared) -> None:
    policy = node.check_output("apt-cache policy postgresql-16")
    assert f"Installed: {declared.variables['postgresql_minor']}-" in policy
    assert "1001" in policy
    assert "file:/srv/pgstead-mirror bookworm-pgdg" in policy


def test_nothing_else_is_taken_from_it(node: Any) -> None:
    """A newer `less` and a newer `pgbouncer` in a repository of the same name: only one of them is a candidate."""
    script = """
        set -eu
        mkdir -p /root/decoy/dists/bookworm-pgdg/main/binary-amd64 && cd /root/decoy/dists/bookworm-pgdg
        for p in less pgbouncer; do
          printf 'Package: %s\\nVersion: 9999\\nArchitecture: amd64\\nFilename: none\\nSize: 1\\nSHA256: 0\\n\\n' $p
        done > main/binary-amd64/Packages
        printf 'Codename: bookworm-pgdg\\nSuite: bookworm-pgdg\\nComponents: main\\nArchitectures: amd64\\n' > Release
        echo 'SHA256:' >> Release
        echo " $(sha256sum main/binary-amd64/Packages | cut -d' ' -f1) $(stat -c %s main/binary-amd64/Packages)" \
             main/binary-amd64/Packages >> Release
        echo 'deb [trusted=yes] file:/root/decoy bookworm-pgdg main' > /etc/apt/sources.list.d/decoy.list
        apt-get update -qq
    """
    assert node.run(f"sh -c '{script.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'").rc == 0
    try:
        assert "Candidate: 9999" in node.check_output("apt-cache policy pgbouncer")
        less = node.check_output("apt-cache policy less")
        assert "9999" in less
        assert "Candidate: 9999" not in less
    finally:
        node.run("rm -rf /root/decoy /etc/apt/sources.list.d/decoy.list && apt-get update -qq")


def test_a_key_with_another_fingerprint_is_refused_before_anything_changes(node: Any) -> None:
    sources = node.file("/etc/apt/sources.list.d/pgstead-postgresql.sources").content_string
    wrong = "0" * 40
    done = deploy("-e", f"postgresql_pgdg_key_fingerprint={wrong}", check=False)
    assert done.returncode == 1
    assert f"expected {wrong}" in done.stderr
    assert node.file("/etc/apt/sources.list.d/pgstead-postgresql.sources").content_string == sources
    assert playbook("site")["changed"] == 0


def test_another_minor_version_waits_for_permission_to_restart(node: Any) -> None:
    """Asking for a minor version that the source lacks is refused; nothing is down- or upgraded on the way."""
    done = deploy("-e", "postgresql_minor=16.13", "--restart", check=False)
    assert done.returncode == 3
    assert "16.14; write one of these" in " ".join(done.stderr.split())
    assert node.package("postgresql-16").version.startswith("16.14-")
    assert playbook("site")["changed"] == 0


def test_a_source_that_cannot_be_read_is_refused_every_time_and_not_left_in_place(node: Any) -> None:
    for _ in range(2):
        done = deploy("-e", "postgresql_pgdg_uri=file:///srv/nowhere", check=False)
        assert done.returncode == 1
        assert "/srv/nowhere" in done.stderr
        assert "The files are as they were before" in done.stderr
    assert "/srv/nowhere" not in node.file("/etc/apt/sources.list.d/pgstead-postgresql.sources").content_string
    assert node.run("apt-get update -qoAPT::Update::Error-Mode=any").rc == 0
    assert playbook("site")["changed"] == 0


def test_the_key_that_the_role_brings_is_the_one_that_debian_ships(node: Any) -> None:
    shipped = node.file("/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc").content_string
    assert (HOME / "roles/postgresql/files/apt.postgresql.org.asc").read_text() == shipped
