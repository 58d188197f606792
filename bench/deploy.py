"""`pgstead deploy` over SSH: of a fresh node with packages in the cache, and once more without a change.

The baselines of the same round: `apt-get install` of the same packages by hand on a node of the same kind, and a
play that does nothing. Both nodes must end with the same packages.
"""

from __future__ import annotations

from bench.figures import Figure, absolute, at_most, ratio, require
from bench.nodes import HERE, Site, site
from pgstead.command import Steps

FIRST = at_most(45)  # seconds; pgstead's own target
AGAIN = at_most(8)  # seconds; pgstead's own target


def run(steps: Steps, quick: bool) -> list[Figure]:
    """Figures of this benchmark.

    Raises:
        PgsteadError: a deploy fails, a repeated one changes something, or the nodes do not have the same packages.
    """
    rounds = 1 if quick else 4
    times: dict[str, list[float]] = {key: [] for key in ("first", "by hand", "again", "empty")}
    with site(["db1", "db2"], steps) as made:
        with steps.step("Fetching packages into the cache that nodes share"):
            _by_hand(made)
        for number in range(rounds):
            with steps.step(f"Round {number + 1} of {rounds}"):
                made.start("db1", "db2")
                if number % 2:
                    times["by hand"].append(_by_hand(made))
                times["first"].append(made.deploy("-l", "db1")[0])
                if not number % 2:
                    times["by hand"].append(_by_hand(made))
                times["empty"].append(made.play("empty", "-l", "db1")[0])
                seconds, changed = made.deploy("-l", "db1")
                times["again"].append(seconds)
                require(changed == 0, f"the second deploy was to change nothing, but {changed} tasks changed something")
                _same_packages(made)
                steps.say(", ".join(f"{name} {values[-1]:.1f} s" for name, values in times.items()))
    samples = {name: (f"{name}, s", values) for name, values in times.items()}
    return [
        absolute("first deploy over SSH, packages cached", samples["first"], "s", FIRST),
        ratio("first deploy / the same packages by apt-get alone", samples["first"], samples["by hand"]),
        absolute("deploy without a change over SSH", samples["again"], "s", AGAIN),
        ratio("deploy without a change / an empty play", samples["again"], samples["empty"]),
    ]


def _by_hand(made: Site) -> float:
    """Seconds that apt-get takes on db2, over SSH."""
    return made.ssh("db2", "sudo", "sh", "-s", stdin=(HERE / "files" / "by-hand.sh").read_bytes())


def _same_packages(made: Site) -> None:
    query = ("dpkg-query", "-W", "-f", "${binary:Package} ${Version}\n")
    ours, theirs = (set(made.nodes[name].run(*query).splitlines()) for name in ("db1", "db2"))
    require(ours == theirs, f"the nodes differ in packages: {', '.join(sorted(ours ^ theirs))}")
