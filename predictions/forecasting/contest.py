"""The contest of candidates for a sensor: whose forecasts of its own past were nearest, and is that evidence?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.cycles import weighted_mean

ORIGINS_AT_LEAST = 3
# The best of eight is compared, so that one standard error would be beaten by chance in most contests.
STANDARD_ERRORS = 2.0
SHARE_BETTER = 0.02
PLUS = "+"


@dataclass(frozen=True, slots=True)
class ContestResult:
    """Who forecasts a series: one candidate, or two whose mean it is, and the numbers that decided.

    `mean_errors` has the mean absolute error of every candidate, of the mean of the best two and of the
    incumbent, in the unit of the series; empty where nothing could be compared. `has_changed` tells whether the
    incumbent lost.
    """

    winners: tuple[str, ...]
    reason: str
    origins: int
    mean_errors: dict[str, float]
    has_changed: bool

    @property
    def name(self) -> str:
        """The winner's name, or both, joined by a plus."""
        return PLUS.join(self.winners)


@dataclass(frozen=True, slots=True, eq=False)
class _Standing:
    """Errors (series, origins) of one entrant per series, their weighted means (series,), and the names."""

    names: list[str]
    losses: NDArray[np.float64]
    means: NDArray[np.float64]


def hold_contest(
    errors: Mapping[str, NDArray[np.float64]], *, incumbents: Sequence[str], origins_overlap: float
) -> list[ContestResult]:
    """One result per series from the past errors (series, origins, horizon) of each candidate.

    `incumbents` names who holds each series: a candidate, or two joined by a plus. The challenger is the best of
    all candidates and of the mean of the best two. It replaces the incumbent when it is better by two standard
    errors of the difference over the origins and by two per cent; otherwise the incumbent stays, so that a
    champion changes on evidence only. `origins_overlap` is how many origins share one stretch of truth (horizon /
    step of the origins): so many count as one in the standard error.
    """
    names = list(errors)
    stacked = np.stack([errors[name] for name in names])
    losses = _mean_sizes(stacked)  # (candidates, series, origins)
    known = np.isfinite(stacked[0]).sum(axis=2) * np.isfinite(losses).all(axis=0).astype(np.float64)
    means = weighted_mean(losses, known, 2)
    ranked = np.argsort(means, axis=0, kind="stable")
    best = _standing(stacked, losses, known, names, [(int(first),) for first in ranked[0]])
    pairs = [(int(first), int(second)) for first, second in ranked[:2].T] if len(names) > 1 else []
    challenger = best
    if pairs:
        blend = _standing(stacked, losses, known, names, pairs)
        challenger = _better(blend, best)
    places = {name: place for place, name in enumerate(names)}
    held = _standing(
        stacked, losses, known, names, [tuple(places[one] for one in name.split(PLUS)) for name in incumbents]
    )
    gains, doubts = _gain(held.losses - challenger.losses, known, max(1.0, origins_overlap))
    origins = (known > 0).sum(axis=1)
    return [
        _decide(
            origins=int(origins[series]),
            incumbent=(held.names[series], float(held.means[series])),
            challenger=(challenger.names[series], float(challenger.means[series])),
            gain=float(gains[series]),
            doubt=float(doubts[series]),
            figures=dict(zip(names, means[:, series].tolist(), strict=True)),
        )
        for series in range(stacked.shape[1])
    ]


def winning(values: Mapping[str, NDArray[np.float64]], winners: Sequence[str]) -> NDArray[np.float64]:
    """Of each candidate's array (series, ...) the rows of each series' winner, or the mean of its two winners."""
    return np.stack(
        [
            np.mean([values[name][index] for name in winner.split(PLUS)], axis=0)
            for index, winner in enumerate(winners)
        ]
    )


def _mean_sizes(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean absolute error along the horizon, NaN where none is known."""
    return weighted_mean(np.abs(errors), np.ones(1), errors.ndim - 1)


def _standing(
    stacked: NDArray[np.float64],
    losses: NDArray[np.float64],
    known: NDArray[np.float64],
    names: list[str],
    entrants: Sequence[tuple[int, ...]],
) -> _Standing:
    """`entrants` has the places of one or two candidates per series."""
    own = losses[[entrant[0] for entrant in entrants], np.arange(len(entrants))]
    of_two = [series for series, entrant in enumerate(entrants) if len(entrant) > 1]
    if of_two:
        first, second = np.array([entrants[series] for series in of_two]).T
        own[of_two] = _mean_sizes((stacked[first, of_two] + stacked[second, of_two]) / 2)
    joined = [PLUS.join(names[place] for place in entrant) for entrant in entrants]
    return _Standing(joined, own, weighted_mean(own, known, 1))


def _better(blend: _Standing, best: _Standing) -> _Standing:
    is_better = blend.means < best.means
    return _Standing(
        [two if better else one for two, one, better in zip(blend.names, best.names, is_better, strict=True)],
        np.where(is_better[:, None], blend.losses, best.losses),
        np.where(is_better, blend.means, best.means),
    )


def _decide(
    *,
    origins: int,
    incumbent: tuple[str, float],
    challenger: tuple[str, float],
    gain: float,
    doubt: float,
    figures: dict[str, float],
) -> ContestResult:
    held, held_mean = incumbent
    best, best_mean = challenger
    stays = tuple(held.split(PLUS))
    if origins < ORIGINS_AT_LEAST:
        reason = f"{held} stays: only {origins} earlier origins to compare at, {ORIGINS_AT_LEAST} are needed."
        return ContestResult(stays, reason, origins, {}, has_changed=False)
    figures = figures | {held: held_mean, best: best_mean}
    needed = max(STANDARD_ERRORS * doubt, SHARE_BETTER * held_mean)
    if best == held:
        reason = f"{held} has the smallest mean error, {held_mean:.4g} over {origins} origins."
        return ContestResult(stays, reason, origins, figures, has_changed=False)
    if gain > needed:
        reason = (
            f"{best} has the mean error {best_mean:.4g}, {held} {held_mean:.4g}: "
            f"better by {gain:.3g}, more than the {needed:.3g} that chance explains."
        )
        return ContestResult(tuple(best.split(PLUS)), reason, origins, figures, has_changed=True)
    reason = (
        f"{held} stays with {held_mean:.4g}: {best} with {best_mean:.4g} is better by "
        f"{gain:.3g}, which is not more than {needed:.3g}."
    )
    return ContestResult(stays, reason, origins, figures, has_changed=False)


def _gain(
    differences: NDArray[np.float64], known: NDArray[np.float64], overlap: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean difference (series,) and its standard error, with overlapping origins counted as one.

    `differences` and the weights `known` are (series, origins).
    """
    total = known.sum(axis=1, keepdims=True)
    weights = np.divide(known, total, out=np.zeros_like(known), where=total > 0)
    gaps = np.where(weights > 0, differences, 0.0)
    gain = (weights * gaps).sum(axis=1)
    variance = (weights * (gaps - gain[:, None]) ** 2).sum(axis=1)
    squares = (weights**2).sum(axis=1)
    effective = np.divide(1.0, squares, out=np.ones_like(squares), where=squares > 0)
    independent = np.maximum(effective / overlap, 1.0)
    return gain, np.sqrt(variance / np.maximum(independent - 1.0, 0.5))
