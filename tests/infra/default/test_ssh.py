"""The same roles over SSH, on a second node that is in no sandbox inventory: by the CLI and by plain Ansible."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from conftest import HOME, INVENTORY, pgstead, user_environment

NAME = "molecule-ssh"
ADDRESS = "10.213.17.21"
MIRROR = HOME / ".pgstead" / "cache" / "mirror" / "debian-13"


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A node like a VM: SSH with a key, a user who may sudo; and an inventory for it made by `pgstead init`."""
    folder = tmp_path_factory.mktemp("ssh")
    key, hosts = folder / "key", folder / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    pgstead("sandbox", "up", "-i", str(INVENTORY), "--node", f"pgstead-vm1={ADDRESS}", "--ssh-key", f"{key}.pub")
    host = testinfra.get_host("docker://pgstead-vm1")
    public = host.check_output("cat /etc/ssh/ssh_host_ed25519_key.pub")
    hosts.write_text(f"{ADDRESS} {public}\n")
    os.environ["ANSIBLE_SSH_COMMON_ARGS"] = f"-o UserKnownHostsFile={hosts}"
    yield {"key": key, "host": host, "common": f"-o UserKnownHostsFile={hosts}"}
    subprocess.run(["docker", "rm", "-fv", "pgstead-vm1"], check=True, capture_output=True)
    shutil.rmtree(HOME / "inventories" / NAME, ignore_errors=True)
    (HOME / ".pgstead" / "vault" / NAME).unlink(missing_ok=True)


def run(program: str, *arguments: str, vm: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    environment = user_environment(ANSIBLE_SSH_COMMON_ARGS=vm["common"])
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        capture_output=True, text=True, check=False, cwd=HOME, env=environment,
    )  # fmt: skip


def test_init_deploy_verify_url_over_ssh(vm: dict[str, Any]) -> None:
    made = run(
        "pgstead", "init", NAME, "--host", ADDRESS, "--ssh-key", str(vm["key"]), "--network", "10.213.17.0/24",
        "--set", "postgresql_source=mirror", "--set", "postgresql_mirror_uri=file:///srv/pgstead-mirror",
        "--set", f"postgresql_mirror_key={MIRROR}/pgstead-mirror.asc", "--set", "postgresql_memory_mb=1024",
        vm=vm,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    deployed = run("pgstead", "deploy", "-i", NAME, vm=vm)
    assert deployed.returncode == 0, deployed.stderr
    assert "is as declared" in deployed.stderr
    verified = run("pgstead", "verify", "-i", NAME, "--json", vm=vm)
    document = json.loads(verified.stdout)
    assert document["ok"], [line for line in document["hosts"]["db1"]["lines"] if not line["ok"]]
    urls = run("pgstead", "url", "-i", NAME, "--show", vm=vm)
    lines = dict(line.split("=", 1) for line in urls.stdout.splitlines())
    for name in ("DATABASE_URL", "DIRECT_DATABASE_URL"):
        answer = vm["host"].run("psql %s -XAtc 'SELECT 1'", lines[name].strip('"'))
        assert answer.stdout.strip() == "1", answer.stderr


def test_init_never_overwrites(vm: dict[str, Any]) -> None:
    again = run("pgstead", "init", NAME, "--host", "elsewhere", vm=vm)
    assert again.returncode == 3
    assert "exists; it is never overwritten" in again.stderr


def test_url_writes_into_an_env_file_and_leaves_the_rest(vm: dict[str, Any], tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text('PORT=3000\nDATABASE_URL="postgresql://old"\nDEBUG=1\n')
    done = run("pgstead", "url", "-i", NAME, "--write", str(env), vm=vm)
    assert done.returncode == 0, done.stderr
    lines = env.read_text().splitlines()
    assert lines[0] == "PORT=3000"
    assert lines[1].startswith('DATABASE_URL="postgresql://myapp_app:')
    assert lines[2] == "DEBUG=1"
    assert any(line.startswith('DIRECT_DATABASE_URL="postgresql://myapp_migrator:') for line in lines)
    assert env.stat().st_mode & 0o777 == 0o600
    assert any("postgresql://old" in other.read_text() for other in tmp_path.iterdir() if other != env)


def test_plain_ansible_playbook_finds_nothing_to_change(vm: dict[str, Any]) -> None:
    arguments = ("-i", f"inventories/{NAME}", "--vault-password-file", f".pgstead/vault/{NAME}", "playbooks/site.yml")
    for extra in ((), ("--check", "--diff")):
        done = run("ansible-playbook", *arguments, *extra, vm=vm)
        assert done.returncode == 0, done.stdout
        assert "changed=0" in done.stdout


def test_a_wrong_key_and_an_unreachable_address_are_told_apart(vm: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    # A connection of its own: the one that earlier runs left open has already logged in.
    alone = ("-e", "ansible_ssh_args='-o ControlPath=none'")
    wrong = run("pgstead", "deploy", "-i", NAME, *alone, "-e", f"ansible_ssh_private_key_file={other}", vm=vm)
    assert wrong.returncode == 4
    assert "the node refused your SSH login" in wrong.stderr
    nobody = ("-e", "ansible_host=10.213.17.99", "-e", "ansible_ssh_timeout=3")
    gone = run("pgstead", "deploy", "-i", NAME, *alone, *nobody, vm=vm)
    assert gone.returncode == 4
    assert "the node does not answer" in gone.stderr
    own_args = f"ansible_ssh_args='-o ControlPath=none' ansible_ssh_common_args='-o UserKnownHostsFile={tmp_path}/none'"
    stranger = run("pgstead", "deploy", "-i", NAME, "-e", own_args, vm=vm)
    assert stranger.returncode == 4
    assert "SSH does not know the node's host key" in stranger.stderr
