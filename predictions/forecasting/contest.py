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


@dataclass(frozen=True, slots=True)
class ContestResult:
    """Who forecasts a series: one candidate, or two whose mean it is, and the numbers that decided.

    `mean_errors` has the mean absolute error of every candidate and of the mean of the best two, in the unit
    of the series; `by_horizon` the same per third of the horizon. NaN where nothing could be compared.
    """

    winners: tuple[str, ...]
    reason: str
    origins: int
    mean_errors: dict[str, float]
    by_horizon: dict[str, list[float]]

    @property
    def name(self) -> str:
        """The winner's name, or both, joined by a plus."""
        return "+".join(self.winners)


def hold_contest(
    errors: Mapping[str, NDArray[np.float64]], *, incumbent: str, origins_overlap: float
) -> list[ContestResult]:
    """One result per series from the past errors (series, origins, horizon) of each candidate.

    The challenger is the best of all candidates and of the mean of the best two. It replaces the incumbent
    when it is better by two standard errors of the difference over the origins and by two per cent; otherwise
    the incumbent stays, so that a champion changes on evidence only. `origins_overlap` is how many origins
    share one stretch of truth (horizon / step of the origins): so many count as one in the standard error.
    """
    names = list(errors)
    stacked = np.stack([errors[name] for name in names])
    losses = weighted_mean(np.abs(stacked), np.ones(1), 3)  # (candidates, series, origins)
    known = np.isfinite(stacked[0]).sum(axis=2) * np.isfinite(losses).all(axis=0)
    return [
        _decide(
            names,
            stacked[:, index],
            losses[:, index],
            known[index].astype(np.float64),
            incumbent=incumbent,
            overlap=max(1.0, origins_overlap),
        )
        for index in range(stacked.shape[1])
    ]


def winning(
    values: Mapping[str, NDArray[np.float64]], results: Sequence[ContestResult]
) -> NDArray[np.float64]:
    """Of each candidate's array (series, ...) the rows of each series' winner, or the mean of its two winners."""
    return np.stack(
        [
            np.mean([values[name][index] for name in result.winners], axis=0)
            for index, result in enumerate(results)
        ]
    )


def _decide(
    names: list[str],
    errors: NDArray[np.float64],
    losses: NDArray[np.float64],
    known: NDArray[np.float64],
    *,
    incumbent: str,
    overlap: float,
) -> ContestResult:
    """`errors` (candidates, origins, horizon), `losses` (candidates, origins), `known` points (origins,)."""
    origins = int((known > 0).sum())
    if origins < ORIGINS_AT_LEAST:
        reason = (
            f"{incumbent} stays: only {origins} earlier origins to compare at, {ORIGINS_AT_LEAST} are needed."
        )
        return ContestResult((incumbent,), reason, origins, {}, {})
    means = weighted_mean(losses, known, 1)
    first, second = np.argsort(means, kind="stable")[:2] if len(names) > 1 else (0, 0)
    pair = (names[first], names[second])
    blend = (errors[first] + errors[second]) / 2
    blend_losses = weighted_mean(np.abs(blend), np.ones(1), 1)
    blend_mean = float(weighted_mean(blend_losses, known, 0))
    blend_is_best = blend_mean < means[first]
    winners = pair if blend_is_best else pair[:1]
    best_losses, best_mean = (blend_losses, blend_mean) if blend_is_best else (losses[first], means[first])
    figures = {name: float(mean) for name, mean in zip(names, means, strict=True)} | {
        "+".join(pair): blend_mean
    }
    by_horizon = {name: _thirds(errors[index]) for index, name in enumerate(names)} | {
        "+".join(pair): _thirds(blend)
    }
    held = names.index(incumbent)
    gain, doubt = _gain(losses[held] - best_losses, known, overlap)
    needed = max(STANDARD_ERRORS * doubt, SHARE_BETTER * float(means[held]))
    challenger = "+".join(winners)
    if winners == (incumbent,):
        reason = f"{incumbent} has the smallest mean error, {means[held]:.4g} over {origins} origins."
    elif gain > needed:
        reason = (
            f"{challenger} has the mean error {best_mean:.4g}, {incumbent} {means[held]:.4g}: "
            f"better by {gain:.3g}, more than the {needed:.3g} that chance explains."
        )
    else:
        reason = (
            f"{incumbent} stays with {means[held]:.4g}: {challenger} with {best_mean:.4g} is better by "
            f"{gain:.3g}, which is not more than {needed:.3g}."
        )
        winners = (incumbent,)
    return ContestResult(winners, reason, origins, figures, by_horizon)


def _gain(
    differences: NDArray[np.float64], known: NDArray[np.float64], overlap: float
) -> tuple[float, float]:
    """Weighted mean difference and its standard error, with overlapping origins counted as one."""
    used = known > 0
    weights, gaps = known[used] / known[used].sum(), differences[used]
    gain = float(weights @ gaps)
    variance = float(weights @ (gaps - gain) ** 2)
    independent = max(1.0 / float((weights**2).sum()) / overlap, 1.0)
    return gain, (variance / max(independent - 1.0, 0.5)) ** 0.5


def _thirds(errors: NDArray[np.float64]) -> list[float]:
    """Mean absolute error (origins, horizon) in each third of the horizon."""
    return [
        float(weighted_mean(np.abs(part).ravel(), np.ones(1), 0))
        for part in np.array_split(errors, min(3, errors.shape[1]), axis=1)
    ]
