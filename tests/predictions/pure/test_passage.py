import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictions.forecasting.buckets import DAY_US
from predictions.forecasting.passage import first_passage
from tests.predictions.pure.series import high, low

TS_US = np.arange(11, dtype=np.int64) * DAY_US


def test_the_first_instant_at_the_limit_counts_and_is_not_undone() -> None:
    latent = np.array([[0, 1, 5, 1, 0, 0, 0, 0, 0, 0, 0.0], np.zeros(11), np.arange(11.0)])
    passage = first_passage(latent=latent, ts_us=TS_US, limit=high(5))
    assert passage.probabilities(now_us=0, days_ahead=(1, 2, 4, 5, 10)) == {
        1: 0,
        2: 1 / 3,
        4: 1 / 3,
        5: 2 / 3,
        10: 2 / 3,
    }
    assert passage.quantile(0.1) == 2 * DAY_US
    assert passage.quantile(0.5) == 5 * DAY_US
    assert passage.quantile(0.9) is None


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(11)), elements=st.floats(-10, 10)),
    st.floats(-10, 10),
)
def test_probabilities_grow_with_time_and_mirror_with_direction(latent: np.ndarray, value: float) -> None:
    upward = first_passage(latent=latent, ts_us=TS_US, limit=high(value))
    shares = [upward.probability_by(int(instant)) for instant in TS_US]
    assert shares == sorted(shares)
    running = np.maximum.accumulate(latent, axis=1) >= value
    np.testing.assert_allclose(shares, running.mean(axis=0))
    downward = first_passage(latent=-latent, ts_us=TS_US, limit=low(-value))
    assert downward.crossed_us.tolist() == upward.crossed_us.tolist()
