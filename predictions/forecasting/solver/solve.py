"""Prophet's fits of many series at once, exactly: an active set of slope changes for each.

The objective is the negative logarithm of Prophet's posterior density (Taylor and Letham 2018, "Forecasting at
scale", with the priors of its Stan program), for a series scaled to 0..1:

    n log s + |y - X b|^2 / (2 s^2) + sum |slope changes| / scale + b' R b / 2 + 2 s^2

where b are level, slope, seasons and slope changes, R the precisions of the normal priors of the former, and
s has a half-normal prior of scale 0.5. The former are eliminated, as ridge regression solves for them. What
remains is a lasso in the slope changes, solved by feature-sign search (Lee, Battle, Raina and Ng 2006): the
most wanted changes enter, the quadratic of those present is minimised within their signs, what reaches zero
leaves. Each round lowers the objective, and so does the best s, in closed form, which follows it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.solver.design import NormalEquations

Floats = NDArray[np.float64]

TREND_PRECISION = 1 / 5.0**2  # level and slope ~ Normal(0, 5)
SEASON_PRECISION = 1 / 10.0**2  # coefficients of seasons ~ Normal(0, 10)
NOISE_AT_MOST = 1.0  # standard deviation of readings in 0..1 cannot be larger
# A series that the model fits without any rest has no optimum: less noise is always more likely. At a ten
# thousandth of a series' range it does not matter any more.
NOISE_AT_LEAST = 1e-4
TOLERANCE = 1e-5
ROUNDS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Optima of s series: `free` (s, q) level, slope and seasons, `delta` (s, c) slope changes, `sigma` (s,).

    `residual` (s,) is the largest violation of the optimality conditions, relative to the pull of the prior
    on slope changes and to the noise; `converged` (s,) where it is within the tolerance.
    """

    free: Floats
    delta: Floats
    sigma: Floats
    residual: Floats

    @property
    def converged(self) -> NDArray[np.bool_]:
        return self.residual <= TOLERANCE


@dataclass(frozen=True, slots=True, eq=False)
class Eliminated:
    """The lasso in the slope changes that is left once level, slope and seasons are solved for.

    Per window w: with the columns F of the latter and D of the slope changes, `spread` (w, q) and `turn`
    (w, q, q) diagonalise F'F relative to R, so that (F'F + s^2 R)^-1 = turn / (spread + s^2) turn' for every
    noise level s; `cross` (w, c, q) is D'F turn and `bends` (w, c, c) is D'D. Per series: `seen` (s, q) is
    turn' F'y and `pull` (s, c) is D'y.
    """

    window: NDArray[np.intp]
    spread: Floats
    turn: Floats
    cross: Floats
    bends: Floats
    seen: Floats
    pull: Floats
    power: Floats
    points: Floats

    @classmethod
    def of(cls, equations: NormalEquations, changes: int) -> "Eliminated":
        gram, window, moment = equations.gram, equations.window, equations.moment
        free = gram.shape[1] - changes
        precision = np.full(free, SEASON_PRECISION)
        precision[:2] = TREND_PRECISION
        spread, vectors = np.linalg.eigh(gram[:, :free, :free] / np.sqrt(precision[:, None] * precision))
        turn = vectors / np.sqrt(precision)[:, None]
        return cls(
            window=window,
            spread=np.maximum(spread, 0.0),
            turn=turn,
            cross=gram[:, free:, :free] @ turn,
            bends=gram[:, free:, free:],
            seen=_times(moment[:, :free], turn, window),
            pull=moment[:, free:],
            power=equations.power,
            points=equations.points,
        )

    def take(self, which: NDArray[np.intp]) -> "Eliminated":
        """The same for some of the series."""
        return Eliminated(
            self.window[which],
            self.spread,
            self.turn,
            self.cross,
            self.bends,
            self.seen[which],
            self.pull[which],
            self.power[which],
            self.points[which],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Where a search stands: `delta` (s, c), `signs` (s, c) of those present, else 0, and `variance` (s,) of the noise.

    `settled` (s,) where the last step reached the optimum of those present.
    """

    delta: Floats
    signs: Floats
    variance: Floats
    settled: NDArray[np.bool_]

    def take(self, which: NDArray[np.intp]) -> "Slopes":
        """Of some of the series."""
        return Slopes(self.delta[which], self.signs[which], self.variance[which], self.settled[which])


def solve(equations: NormalEquations, *, changes: int, scale: float) -> Solution:
    """Minimise the objective for every series; the last `changes` columns are the slope changes."""
    problem = whole = Eliminated.of(equations, changes)
    series = len(whole.seen)
    slopes = Slopes(
        np.zeros((series, changes)),
        np.zeros((series, changes)),
        np.full(series, NOISE_AT_MOST**2),
        np.ones(series, dtype=bool),
    )
    delta, variance, residual = slopes.delta.copy(), slopes.variance.copy(), np.full(series, np.inf)
    working = np.arange(series)
    for _ in range(ROUNDS):
        gradient, best_variance = _look(problem, slopes)
        residual[working] = _residual(slopes, gradient, best_variance, scale)
        delta[working], variance[working] = slopes.delta, slopes.variance
        left = np.flatnonzero(residual[working] > TOLERANCE)
        if not len(left):
            break
        working, problem, slopes = working[left], problem.take(left), slopes.take(left)
        slopes = _admit(slopes, gradient[left], best_variance[left], scale)
        slopes = _step(problem, slopes, scale)
    free = _free(whole, delta, variance)
    return Solution(free, delta, np.sqrt(variance), residual)


def _times(vectors: Floats, matrices: Floats, window: NDArray[np.intp]) -> Floats:
    """Each vector (s, x) times its window's matrix (w, x, y)."""
    if len(matrices) == 1:
        return vectors @ matrices[0]
    return np.matmul(vectors[:, None, :], matrices[window])[:, 0]


def _waves(problem: Eliminated, delta: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Weights (s, q) of the eliminated directions, their best values given the slope changes, and cross' delta."""
    weights = 1.0 / (problem.spread[problem.window] + variance[:, None])
    crossed = _times(delta, problem.cross, problem.window)
    return weights, (problem.seen - crossed) * weights, crossed


def _look(problem: Eliminated, slopes: Slopes) -> tuple[Floats, Floats]:
    """Pull of the readings (s, c) on each slope change, and the variance (s,) that suits the residuals best."""
    delta, variance = slopes.delta, slopes.variance
    weights, values, crossed = _waves(problem, delta, variance)
    back = np.swapaxes(problem.cross, 1, 2)
    gradient = (
        problem.pull - _times(values, back, problem.window) - _times(delta, problem.bends, problem.window)
    )
    gain = (problem.seen**2 * weights).sum(axis=1)
    gain += ((problem.pull + gradient) * delta).sum(axis=1) - (problem.seen * weights * crossed).sum(axis=1)
    squares = np.maximum(problem.power - gain - variance * (values**2).sum(axis=1), 0.0)
    best = 2.0 * squares / (problem.points + np.sqrt(problem.points**2 + 16.0 * squares))
    return gradient, np.clip(best, NOISE_AT_LEAST**2, NOISE_AT_MOST**2)


def _residual(slopes: Slopes, gradient: Floats, best_variance: Floats, scale: float) -> Floats:
    """Largest relative violation (s,) of the optimality conditions of slope changes and noise."""
    relative = gradient * (scale / slopes.variance)[:, None]
    present = slopes.signs != 0
    violation = np.where(present, np.abs(relative - slopes.signs), np.abs(relative) - 1.0)
    off = np.abs(best_variance / slopes.variance - 1.0)
    return np.maximum(violation.max(axis=1, initial=0.0), off)


def _admit(slopes: Slopes, gradient: Floats, best_variance: Floats, scale: float) -> Slopes:
    """Where a search is settled: take the best variance, let in the most wanted slope change of each run of them."""
    variance = np.where(slopes.settled, best_variance, slopes.variance)
    wanted = np.abs(gradient) * (scale / variance)[:, None] - 1.0
    wanted[(slopes.signs != 0) | ~slopes.settled[:, None]] = 0.0
    beside = np.pad(wanted, ((0, 0), (1, 1)))
    enters = (wanted > TOLERANCE / 2) & (wanted >= beside[:, :-2]) & (wanted > beside[:, 2:])
    return Slopes(slopes.delta, np.where(enters, np.sign(gradient), slopes.signs), variance, slopes.settled)


def _step(problem: Eliminated, slopes: Slopes, scale: float) -> Slopes:
    """Go towards the optimum of the slope changes present, until it is reached or one of them reaches zero."""
    counts = (slopes.signs != 0).sum(axis=1)
    size = int(counts.max(initial=0))
    present = np.argsort(slopes.signs == 0, axis=1, kind="stable")[:, :size]
    real = np.arange(size) < counts[:, None]
    signs = np.take_along_axis(slopes.signs, present, axis=1)
    before = np.take_along_axis(slopes.delta, present, axis=1)
    target = _optimum_of(problem, slopes, present, real, signs, scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(target * signs < 0, before / (before - target), 1.0)
    reach[~real] = 1.0
    length = np.minimum(reach.min(axis=1, initial=1.0), 1.0)[:, None]
    after = before + length * (target - before)
    leaves = (reach <= length) & (target * signs < 0)
    after[leaves] = signs[leaves] = 0.0
    delta, new_signs = np.zeros_like(slopes.delta), np.zeros_like(slopes.signs)
    np.put_along_axis(delta, present, np.where(real, after, 0.0), axis=1)
    np.put_along_axis(new_signs, present, np.where(real, signs, 0.0), axis=1)
    return Slopes(delta, new_signs, slopes.variance, ~leaves.any(axis=1))


def _optimum_of(
    problem: Eliminated,
    slopes: Slopes,
    present: NDArray[np.intp],
    real: NDArray[np.bool_],
    signs: Floats,
    scale: float,
) -> Floats:
    """Where (s, size) the quadratic of the slope changes `present` (s, size) is least, their signs given."""
    variance, window = slopes.variance[:, None], problem.window[:, None]
    weights = 1.0 / (problem.spread[problem.window] + variance)
    cross = problem.cross[window, present] * real[:, :, None]
    weighted = cross * weights[:, None, :]
    matrix = problem.bends[window[:, :, None], present[:, :, None], present[:, None, :]]
    matrix = matrix - np.matmul(weighted, np.swapaxes(cross, 1, 2))
    matrix[~(real[:, :, None] & real[:, None, :])] = 0.0
    diagonal = np.arange(present.shape[1])
    matrix[:, diagonal, diagonal] = np.where(real, matrix[:, diagonal, diagonal] * (1 + 1e-12), 1.0)
    pull = np.take_along_axis(problem.pull, present, axis=1)
    pull = pull - np.matmul(weighted, problem.seen[:, :, None])[:, :, 0] - variance / scale * signs
    return np.linalg.solve(matrix, np.where(real, pull, 0.0)[:, :, None])[:, :, 0]


def _free(problem: Eliminated, delta: Floats, variance: Floats) -> Floats:
    """Level, slope and seasons (s, q) that belong to slope changes and noise."""
    _, values, _ = _waves(problem, delta, variance)
    return _times(values, np.swapaxes(problem.turn, 1, 2), problem.window)
