import numpy as np
import pytest

from predictions.forecasting.buckets import DAY_S, HOUR_S
from predictions.forecasting.guards import Season
from predictions.forecasting.solver import FleetFit, fit_fleet
from tests.predictions.pure.series import noise

DAILY = (Season("daily", DAY_S, 4),)
HOURS = np.arange(480)


def hourly(values: np.ndarray, *more: np.ndarray) -> FleetFit:
    return fit_fleet(np.stack((values, *more)), bucket_s=HOUR_S, seasons=DAILY)


def wave(*, sd: float = 0.02, seed: int = 1) -> np.ndarray:
    """A line from 0.3 to 0.6 with a daily cycle of 0.1 up and down, and noise."""
    cycle = 0.1 * np.sin(2 * np.pi * HOURS / 24)
    return 0.3 + 0.3 * HOURS / HOURS[-1] + cycle + noise(len(HOURS), sd=sd, seed=seed)


def test_a_line_with_a_daily_cycle_is_found() -> None:
    fit = hourly(wave())
    ahead = np.arange(480, 648)
    expected = 0.3 + 0.3 * ahead / HOURS[-1] + 0.1 * np.sin(2 * np.pi * ahead / 24)
    assert fit.converged.tolist() == [True]
    np.testing.assert_allclose(fit.latent(ahead)[0], expected, atol=0.02)
    assert fit.sigma[0] == pytest.approx(0.02, rel=0.15)


def test_a_series_has_the_same_fit_alone_as_among_others() -> None:
    gappy = wave(seed=2)
    gappy[100:140] = np.nan
    together = hourly(wave(), gappy, wave(seed=3))
    for series, values in enumerate((wave(), gappy, wave(seed=3))):
        alone = hourly(values)
        np.testing.assert_allclose(
            alone.latent(HOURS + 240)[0], together.latent(HOURS + 240)[series], atol=1e-9
        )
        assert alone.sigma[0] == pytest.approx(together.sigma[series], rel=1e-9)


def test_a_constant_is_itself_and_nothing_cannot_be_fitted() -> None:
    nothing, single = np.full(480, np.nan), np.full(480, np.nan)
    single[7] = 0.5
    fit = hourly(np.full(480, 0.7), nothing, single)
    assert fit.converged.tolist() == [True, False, False]
    assert np.unique(fit.latent(HOURS)[0]).tolist() == [0.7]
    assert np.isnan(fit.latent(HOURS)[1:]).all()


def test_unscaled_values_are_refused() -> None:
    with pytest.raises(ValueError, match="scaled"):
        hourly(np.full(480, 101_325.0))
