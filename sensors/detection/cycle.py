"""The usual course of a quantity over a repeating day or week, learned as the readings come."""

import math

import msgspec

KNOWN_HOURS = (
    0.75  # a point is used when about a whole pass has been seen, so that a pass is not its own measure
)


class Cycle(msgspec.Struct):
    """Means at each full hour of the cycle, straight lines between them.

    `weights` are the hours of readings behind each mean, at most `memory` passes: from there on older
    readings fade exponentially.
    """

    memory: float
    means: list[float]
    weights: list[float]

    @classmethod
    def of_hours(cls, hours: int, *, memory: float) -> "Cycle":
        return cls(memory=memory, means=[0.0] * hours, weights=[0.0] * hours)

    def nearest(self, hour: float, value: float, steep: float) -> float:
        """The expected value at an hour since 1970 (a fraction of one too); NaN where too little was seen.

        Where two full hours differ by more than `steep`, the moment of the step between them is not known
        to the minute: everything between the two is expected, and the part of it nearest to `value` is
        returned.
        """
        position = hour % len(self.means)
        left = int(position)
        right = (left + 1) % len(self.means)
        share = position - left
        left_is_known = self.weights[left] >= KNOWN_HOURS
        if share == 0 or self.weights[right] < KNOWN_HOURS:
            return self.means[left] if left_is_known else math.nan
        if not left_is_known:
            return self.means[right]
        before, after = self.means[left], self.means[right]
        if abs(after - before) > steep:
            return min(max(value, min(before, after)), max(before, after))
        return before + share * (after - before)

    def learn(self, hour: float, value: float, hours: float, *, clip: float = math.inf) -> None:
        """Take in a value that stands for so many hours; the two neighbouring points share it.

        To a point that is known already a value further than `clip` away counts as that far.
        """
        position = hour % len(self.means)
        left = int(position)
        share = position - left
        self._move(left, value, hours * (1 - share), clip)
        if share > 0:
            self._move((left + 1) % len(self.means), value, hours * share, clip)

    def learn_where_unknown(self, hour: float, value: float, hours: float) -> None:
        """As `learn`, for the points of which too little was seen only."""
        left = int(hour % len(self.means))
        if self.weights[left] < KNOWN_HOURS and self.weights[(left + 1) % len(self.means)] < KNOWN_HOURS:
            self.learn(hour, value, hours)

    def _move(self, point: int, value: float, hours: float, clip: float) -> None:
        weight = min(self.weights[point] + hours, self.memory)
        self.weights[point] = weight
        difference = value - self.means[point]
        if abs(difference) > clip and weight >= KNOWN_HOURS:
            difference = math.copysign(clip, difference)
        if weight > 0:
            self.means[point] += difference * min(hours / weight, 1.0)
