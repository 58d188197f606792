"""Which APT sources a node image is made from, as this machine's apt lists them."""

from typing import Any

import pytest

from pgstead.sandbox import image

DEBIAN = """\
Debian bookworm http://mirror.test/debian/
Debian bookworm-updates http://mirror.test/debian/
Debian bookworm-security http://mirror.test/security/
Debian bookworm-backports http://other.test/debian/
Docker bookworm http://docker.test/

not a line of three words
"""
UBUNTU = "Ubuntu noble http://mirror.test/ubuntu/\nUbuntu noble-security http://mirror.test/ubuntu/\n"


def lines(release: str) -> list[str]:
    return image.apt_lines(image.RELEASES[release])


def test_the_release_comes_from_the_mirrors_this_machine_uses(program: Any) -> None:
    program("apt-get", DEBIAN)
    assert lines("debian-13") == [
        "deb http://mirror.test/debian/ trixie main",
        "deb http://mirror.test/debian/ trixie-updates main",
        "deb http://mirror.test/security/ trixie-security main",
    ]


def test_ubuntu_has_its_own_components(program: Any) -> None:
    program("apt-get", UBUNTU)
    assert lines("ubuntu-22.04")[0] == "deb http://mirror.test/ubuntu/ jammy main universe"
    assert lines("ubuntu-22.04")[2] == "deb http://mirror.test/ubuntu/ jammy-security main universe"


@pytest.mark.parametrize(
    ("listed", "release"),
    [
        (UBUNTU, "debian-13"),
        (DEBIAN, "ubuntu-24.04"),
        ("", "debian-13"),
        ("Debian x-security http://s/\n", "debian-13"),
    ],
)
def test_without_a_mirror_of_that_distribution_there_are_no_sources(program: Any, listed: str, release: str) -> None:
    program("apt-get", listed)
    assert lines(release) == []


def test_a_machine_without_apt_has_no_sources_and_no_settings(program: Any) -> None:
    assert lines("debian-13") == image.apt_settings() == []


def test_only_proxies_and_dates_are_handed_on(program: Any) -> None:
    wanted = [
        'Acquire::http::Proxy "http://proxy.test:3128";',
        'Acquire::https::Proxy::host.test "DIRECT";',
        'Acquire::Check-Valid-Until "false";',
    ]
    program("apt-config", "\n".join(['APT::Architecture "amd64";', *wanted, 'Acquire::http::Timeout "5";', ""]))
    assert image.apt_settings() == wanted
