"""How a probability of failure looks: a badge, and words that do not claim more than is known."""

HIGH_FROM, MEDIUM_FROM = 0.5, 0.1
RISK_BADGES = {"high": "danger", "medium": "warning", "low": "success"}


def risk_level(probability: float | None) -> str:
    """high, medium, low; "unknown" without a probability."""
    if probability is None:
        return "unknown"
    if probability >= HIGH_FROM:
        return "high"
    return "medium" if probability >= MEDIUM_FROM else "low"


def percent(probability: float | None) -> str:
    """A probability in words. No future of those that were drawn is not the same as none at all."""
    if probability is None:
        return "not known"
    if probability < 0.01:
        return "under 1 %"
    if 0.99 < probability < 1:
        return "over 99 %"
    return f"{probability * 100:.0f} %"
