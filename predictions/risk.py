"""How a probability of failure is told: a level, and words that do not claim more than is known."""

HIGH_FROM, MEDIUM_FROM = 0.5, 0.1


def risk_level(probability: float | None) -> str:
    """high, medium, low; "unknown" without a probability."""
    if probability is None:
        return "unknown"
    if probability >= HIGH_FROM:
        return "high"
    return "medium" if probability >= MEDIUM_FROM else "low"


def percent(probability: float | None) -> str:
    """A probability (0 to 1) in per cent. A share of simulated futures is never called certain."""
    if probability is None:
        return "not known"
    if probability < 0.01:
        return "under 1 %"
    if probability > 0.99:
        return "over 99 %"
    return f"{probability * 100:.0f} %"
