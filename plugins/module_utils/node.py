"""What a node is and has: read from the kernel and the package manager, changing nothing."""

from __future__ import annotations

import ipaddress
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any


def _run(*argv: str) -> str:
    """stdout of a command, "" where it is missing or fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def release() -> dict[str, str]:
    """ID, VERSION_ID and codename of the distribution, from os-release."""
    fields = {}
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        fields[key] = value.strip('"')
    return {
        "id": fields.get("ID", ""),
        "version": fields.get("VERSION_ID", ""),
        "codename": fields.get("VERSION_CODENAME", ""),
        "name": fields.get("PRETTY_NAME", ""),
    }


def memory_mb() -> int:
    """Memory of the node in MB: what the kernel has, or what a control group leaves of it."""
    total = int(re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)[1]) // 1024  # type: ignore[index]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text) // 1024**2)
    return total


def container() -> str:
    """Kind of container, as systemd-detect-virt names it; "" on machines and VMs."""
    found = _run("systemd-detect-virt", "--container").strip()
    if found and found != "none":
        return found
    return "docker" if Path("/.dockerenv").exists() else ""


def existing_parent(path: str) -> Path:
    """The path, or the nearest directory above it that exists."""
    current = Path(path)
    while not current.exists():
        current = current.parent
    return current


def storage_kind(path: str) -> str:
    """ "hdd" where the kernel calls the device below `path` rotational, else "ssd" (also where it cannot tell)."""
    device = existing_parent(path).stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    for queue in (block / "queue", block / ".." / "queue"):
        try:
            return "hdd" if (queue / "rotational").read_text().strip() == "1" else "ssd"
        except OSError:
            continue
    return "ssd"


def free_mb(path: str) -> int:
    """Free space in MB of the file system that holds `path`, or will."""
    return shutil.disk_usage(existing_parent(path)).free // 1024**2


def disk_mb(path: str) -> int:
    """Size in MB of the file system that holds `path`, or will."""
    return shutil.disk_usage(existing_parent(path)).total // 1024**2


def addresses() -> list[str]:
    """Every IP address of the node's own interfaces."""
    found = []
    for interface in json.loads(_run("ip", "-j", "addr", "show") or "[]"):
        found += [item["local"] for item in interface.get("addr_info", []) if "local" in item]
    return found


def resolve(name: str) -> list[str]:
    """IP addresses that a name or address stands for on this node; empty where it does not resolve."""
    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        pass
    try:
        return sorted({str(item[4][0]) for item in socket.getaddrinfo(name, None)})
    except OSError:
        return []


def listeners() -> dict[int, dict[str, str]]:
    """TCP port -> who listens on it: {"program", "unit", "user"}, each "" where the kernel does not tell."""
    found: dict[int, dict[str, str]] = {}
    for line in _run("ss", "-Hltnpe", "--cgroup").splitlines():
        port = int(line.split()[3].rsplit(":", 1)[1])
        program = re.search(r'\(\("([^"]+)"', line)
        unit = re.search(r"cgroup:\S*/([^/\s]+\.service)", line)
        uid = re.search(r"\buid:(\d+)", line)
        found.setdefault(
            port,
            {
                "program": program[1] if program else "",
                "unit": unit[1] if unit else "",
                "user": _user(int(uid[1])) if uid else "root",
            },
        )
    return found


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def instances() -> list[dict[str, Any]]:
    """Instances that postgresql-common knows: version, name, port, data directory and the version in it."""
    found = []
    for line in _run("pg_lsclusters", "-h").splitlines():
        version, name, port, status, _owner, directory = line.split()[:6]
        found.append(
            {
                "version": version,
                "name": name,
                "port": int(port),
                "status": status,
                "data_directory": directory,
                "data_version": data_version(directory),
            }
        )
    return found


def data_version(directory: str) -> str:
    """Major version of the data directory, "" where there is none."""
    try:
        return (Path(directory) / "PG_VERSION").read_text().strip()
    except OSError:
        return ""


def packages(names: list[str]) -> dict[str, str]:
    """Installed packages among `names`: name -> version. Only those that are fully configured."""
    if not names:
        return {}
    lines = subprocess.run(
        ["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Abbrev} ${Version}\n", *names],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    found = {}
    for line in lines:
        fields = line.split()
        if len(fields) == 3 and fields[1] == "ii":
            found[fields[0].partition(":")[0]] = fields[2]
    return found


def users(names: list[str]) -> list[str]:
    """Those OS users among `names` that exist."""
    found = []
    for name in names:
        try:
            found.append(pwd.getpwnam(name).pw_name)
        except KeyError:
            continue
    return found


def dpkg_interrupted() -> bool:
    """Whether an earlier dpkg run stopped half way (what `dpkg --audit` lists, or its journal)."""
    updates = Path("/var/lib/dpkg/updates")
    journal = updates.is_dir() and any(updates.iterdir())
    return bool(journal or _run("dpkg", "--audit").strip())


def facts() -> dict[str, Any]:
    """What settings are computed from and messages name."""
    return {
        "release": release(),
        "architecture": _run("dpkg", "--print-architecture").strip(),
        "memory_mb": memory_mb(),
        "cores": len(os.sched_getaffinity(0)),
        "container": container(),
        "dpkg_interrupted": dpkg_interrupted(),
    }
