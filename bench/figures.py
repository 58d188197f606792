"""What a benchmark hands back: figures, each with its spread and its target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pgstead.errors import PgsteadError


class PreconditionError(PgsteadError):
    """What a benchmark stands on does not hold; it gives no number then."""


def require(holds: bool, otherwise: str) -> None:
    """Ends the benchmark where a precondition does not hold.

    Raises:
        PreconditionError: with `otherwise` as its message.
    """
    if not holds:
        raise PreconditionError(otherwise)


@dataclass(frozen=True)
class Target:
    """pgstead's own target for a figure.

    Args:
        bound: in the figure's unit.
        least: whether the figure must be at least `bound`; else at most.
    """

    bound: float
    least: bool

    def met(self, value: float) -> bool:
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.bound:g}"


def at_least(bound: float) -> Target:
    return Target(bound, least=True)


def at_most(bound: float) -> Target:
    return Target(bound, least=False)


@dataclass(frozen=True)
class Figure:
    """One line of the result.

    Args:
        title: what was measured, and against what.
        value: median of the rounds, or what else sums them up.
        spread: lowest and highest round.
        unit: "x" for ratios, "s", "" for counts.
        target: where pgstead has one; other figures are there to judge by.
        samples: every round by what it measured, the unit in its name.
    """

    title: str
    value: float
    spread: tuple[float, float]
    unit: str = "x"
    target: Target | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        return self.target.met(self.value) if self.target else None

    def document(self) -> dict[str, Any]:
        """For results/*.json."""
        return {
            "title": self.title,
            "value": round(self.value, 3),
            "spread": [round(end, 3) for end in self.spread],
            "unit": self.unit,
            "target": str(self.target) if self.target else None,
            "met": self.met,
            "samples": {name: [round(value, 3) for value in values] for name, values in self.samples.items()},
        }


Samples = tuple[str, list[float]]  # what was measured with its unit, and its value in each round


def ratio(title: str, over: Samples, under: Samples, target: Target | None = None) -> Figure:
    """Median of `over` divided by median of `under`; the spread is of the rounds taken pair by pair."""
    pairs = [a / b for a, b in zip(over[1], under[1], strict=True)]
    value = median(over[1]) / median(under[1])
    return Figure(title, value, (min(pairs), max(pairs)), "x", target, dict((over, under)))


def paired(title: str, over: Samples, under: Samples, target: Target | None = None) -> Figure:
    """Median of the rounds' own ratios: for rounds so short that both sides of one meet the same machine."""
    pairs = [a / b for a, b in zip(over[1], under[1], strict=True)]
    return Figure(title, median(pairs), (min(pairs), max(pairs)), "x", target, dict((over, under)))


def absolute(
    title: str,
    samples: Samples,
    unit: str,
    target: Target | None = None,
    of_rounds: Callable[[list[float]], float] = median,
) -> Figure:
    """Median of the rounds in their own unit, or another summary; seconds are only as good as the machine is quiet."""
    values = samples[1]
    return Figure(title, of_rounds(values), (min(values), max(values)), unit, target, dict((samples,)))
