"""Failures in plain words: the messages are those that Ansible, SSH, sudo and apt print."""

from typing import Any

import pytest

from pgstead import explain
from pgstead.errors import Exit

SSH = "Failed to connect to the host via ssh: "
MESSAGES = {
    SSH + "admin@10.0.0.5: Permission denied (publickey).": ("refused your SSH login", Exit.UNREACHABLE),
    SSH + "admin@10.0.0.5: Permission denied (password,publickey).": ("refused your SSH login", Exit.UNREACHABLE),
    SSH + 'Load key "/home/me/.ssh/id": invalid format': ("cannot use your key file", Exit.UNREACHABLE),
    SSH + "no such identity: /home/me/.ssh/id: No such file": ("cannot use your key file", Exit.UNREACHABLE),
    SSH + "Host key verification failed.": ("host key", Exit.UNREACHABLE),
    SSH + "ssh: Could not resolve hostname db1: Name or service not known": ("does not resolve", Exit.UNREACHABLE),
    SSH + "ssh: connect to host 10.0.0.5 port 22: Connection refused": ("does not answer", Exit.UNREACHABLE),
    SSH + "ssh: connect to host 10.0.0.5 port 22: No route to host": ("does not answer", Exit.UNREACHABLE),
    "Error response from daemon: No such container: pgstead-db1": ("sandbox node does not run", Exit.UNREACHABLE),
    "Missing sudo password": ("needs a password for sudo", Exit.UNREACHABLE),
    "sudo: a password is required": ("needs a password for sudo", Exit.UNREACHABLE),
    "Attempting to decrypt but no vault secrets found.": ("no vault password is known", Exit.REFUSED),
    "Decryption failed (no vault secrets were found that could decrypt).": ("password is wrong", Exit.REFUSED),
    "/bin/sh: 1: /usr/bin/python3: not found": ("has no Python", Exit.UNREACHABLE),
    "E: You don't have enough free space in /var: not have enough free space": ("disk is full", Exit.FAILED),
    "OSError: [Errno 28] No space left on device": ("disk is full", Exit.FAILED),
    "E: Could not get lock /var/lib/dpkg/lock-frontend": ("installing packages", Exit.FAILED),
    "prod/platform.yml, line 7: mapping values are not allowed here": ("is not YAML", Exit.REFUSED),
}


@pytest.mark.parametrize(("message", "meaning", "code"), [(m, *rest) for m, rest in MESSAGES.items()], ids=MESSAGES)
def test_a_known_failure_is_told_with_its_meaning_and_the_next_step(message: str, meaning: str, code: Exit) -> None:
    result = {"msg": message, "unreachable": message.startswith(SSH)}
    found = explain.explain("db1", "postgresql", "Install packages", result)
    assert meaning in found.message
    assert found.exit_code is code
    assert found.hint
    assert message.removeprefix(SSH).splitlines()[0] in found.message
    assert (found.host, found.task) == ("db1", "postgresql: Install packages")


@pytest.mark.parametrize("key", ["stdout", "stderr", "module_stderr"])
def test_the_reason_is_found_wherever_ansible_puts_it(key: str) -> None:
    result = {"msg": "MODULE FAILURE\nSee stdout/stderr for the exact error", key: "x\nNo space left on device\ny"}
    assert explain.explain("db1", "", "task", result).message == "the node's disk is full: No space left on device"
    items = [{"msg": "fine"}, {"failed": True, "msg": "Disk quota exceeded"}]
    loop = {"msg": "One or more items failed", "results": items}
    assert "disk is full" in explain.explain("db1", "", "task", loop).message


def test_an_unknown_failure_keeps_its_own_words_and_points_to_the_log() -> None:
    found = explain.explain("db1", "", "task", {"msg": "Task failed: Module failed: the moon is full"})
    assert (found.message, found.exit_code) == ("the moon is full", Exit.FAILED)
    assert "full log" in found.hint
    assert explain.explain("", "", "", {}).message == "it failed without a message"


# What a task meets on the node says nothing about the way to the node.
INSIDE = [
    "Failed to fetch http://10.0.0.9/x.deb  Could not connect to 10.0.0.9:80. - connect (111: Connection refused)",
    'connection to server at "127.0.0.1", port 5432 failed: Connection refused',
    "Failed to fetch https://example.org/InRelease  Connection timed out",
    "Error: cluster is not running",
    "curl: (6) getaddrinfo: Name or service not known",
]


@pytest.mark.parametrize("message", INSIDE)
def test_what_fails_on_the_node_is_not_told_as_the_node_being_away(message: str) -> None:
    found = explain.explain("db1", "postgresql", "task", {"msg": message})
    assert found.exit_code is Exit.FAILED
    assert not any(word in found.hint for word in ("SSH", "hosts.yml", "sandbox"))


def problem(path: str) -> dict[str, str]:
    return {"path": path, "found": "1", "expected": "write 2"}


@pytest.mark.parametrize(("paths", "said"), [(["a"], "1 problem found"), (["a", "b"], "2 problems found")])
def test_preflight_s_problems_come_whole(paths: list[str], said: str) -> None:
    result: dict[str, Any] = {"msg": "Connection refused", "problems": [problem(path) for path in paths]}
    found = explain.explain("db1", "preflight", "preflight: check", result)
    assert found.message == f"{said}; nothing was changed"
    assert found.problems == tuple((path, "1", "write 2") for path in paths)
    assert (found.exit_code, found.task) == (Exit.REFUSED, "preflight: check")


def test_a_lock_is_told_in_the_lock_s_own_words() -> None:
    found = explain.explain("db1", "", "Lock", {"msg": "alice deploys since 10:00", "locked": True})
    assert (found.message, found.exit_code) == ("alice deploys since 10:00", Exit.LOCKED)
