"""Prophet's own model for a whole fleet at once: same objective, same changepoints, no Stan.

`fit_fleet` takes series on a common grid and returns a `FleetFit`; docs/forecasting.md says how it works.
"""

from predictions.forecasting.solver.design import PROPHETS, Changepoints
from predictions.forecasting.solver.fit import FLEET_VERSION, FleetFit, fit_fleet

__all__ = ["FLEET_VERSION", "PROPHETS", "Changepoints", "FleetFit", "fit_fleet"]
