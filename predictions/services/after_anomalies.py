"""The risk after a credible anomaly, from an organisation's own findings as they were known then, and in the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from equipment.models import Verdict
from predictions.forecasting.after_anomaly import (
    MODEL_NAME,
    MODEL_VERSION,
    PRIOR_FINDINGS,
    PRIOR_LEAD_DAYS,
    AnomalyRisk,
    Followed,
    explain_risk,
    risk_after_anomaly,
)
from predictions.forecasting.result import DAYS_AHEAD, HORIZON_DAYS
from predictions.models import Prediction, PredictionStatus
from sensors.models import Anomaly, AnomalyFinding, AnomalyStatus, Baseline

# Early: a potential failure was found, and mended; when it would have failed is not known.
FAILED = (
    Verdict.CONFIRMED_AS_PREDICTED,
    Verdict.CONFIRMED_ANOTHER_MODE,
    Verdict.FAILED_BEFORE_REPAIR,
    Verdict.EARLY,
)
TIMED = (Verdict.CONFIRMED_AS_PREDICTED, Verdict.CONFIRMED_ANOTHER_MODE, Verdict.FAILED_BEFORE_REPAIR)
DAY = timedelta(days=1)
COUNTS_FOR = timedelta(days=14)

Group = tuple[str, bool | None]


@dataclass
class Experience:
    """What was found after anomalies until `cutoff_at`. Each organisation is read once."""

    cutoff_at: datetime
    by_organization: dict[int, dict[Group, Followed]] = field(default_factory=dict)

    def risks_of(self, predictions: Sequence[Prediction]) -> dict[int, AnomalyRisk]:
        """The risk for each prediction, by its key, that an anomaly asked for or whose sensor had one lately.

        Those that come by the hour go on counting a sensor's last shift until somebody has looked, or repaired it; a
        limit that was passed is what the forecast itself is about.
        """
        asked_by = Anomaly.objects.in_bulk({one.anomaly_id for one in predictions} - {None})
        lately = self._last_believed({one.sensor_id for one in predictions if one.anomaly_id is None})
        anomalies = {
            one.pk: lately.get(one.sensor_id) if one.anomaly_id is None else asked_by[one.anomaly_id]
            for one in predictions
        }
        return {pk: self.risk_of(anomaly) for pk, anomaly in anomalies.items() if anomaly is not None}

    def _last_believed(self, sensor_ids: set[int]) -> dict[int, Anomaly]:
        repaired_since = Baseline.objects.filter(
            sensor=OuterRef("sensor"), started_at__gte=OuterRef("started_at"), started_at__lte=self.cutoff_at
        )
        believed = (
            Anomaly.objects.filter(
                ~Exists(repaired_since),
                sensor__in=sensor_ids,
                status=AnomalyStatus.CREDIBLE,
                kind=Anomaly.Kind.PROFILE,
                started_at__gt=self.cutoff_at - COUNTS_FOR,
                started_at__lte=self.cutoff_at,
            )
            .exclude(finding__found_at__lte=self.cutoff_at)
            .order_by("started_at")
        )
        return {anomaly.sensor_id: anomaly for anomaly in believed}

    def risk_of(self, anomaly: Anomaly) -> AnomalyRisk:
        """P(failure) after an anomaly that is believed."""
        own = self.by_organization.get(anomaly.organization_id)
        if own is None:
            own = _read_followed(anomaly.organization_id, self.cutoff_at)
            self.by_organization[anomaly.organization_id] = own
        kind = _kind(anomaly.pattern, anomaly.kind)
        return risk_after_anomaly(
            kind=kind,
            is_corroborated=anomaly.is_corroborated,
            followed=own.get((kind, anomaly.is_corroborated), Followed()),
            elapsed_days=(self.cutoff_at - anomaly.started_at) / DAY,
            kind_in_words=anomaly.get_pattern_display() or anomaly.get_kind_display(),
        )


def _kind(pattern: str, kind: str) -> str:
    """What anomalies must have in common to be counted together."""
    return pattern or kind


def _read_followed(organization_id: int, cutoff_at: datetime) -> dict[Group, Followed]:
    found = AnomalyFinding.objects.filter(
        organization_id=organization_id,
        found_at__lte=cutoff_at,
        verdict__in=[*FAILED, Verdict.NO_FAULT_FOUND],
    ).values_list(
        "anomaly__pattern",
        "anomaly__kind",
        "anomaly__is_corroborated",
        "anomaly__started_at",
        "verdict",
        "found_at",
    )
    followed: dict[Group, Followed] = {}
    for pattern, of_anomaly, is_corroborated, started_at, verdict, found_at in found:
        kind = _kind(pattern, of_anomaly)
        before = followed.get((kind, is_corroborated), Followed())
        is_timed = verdict in TIMED
        followed[kind, is_corroborated] = Followed(
            failed=before.failed + (verdict in FAILED),
            not_failed=before.not_failed + (verdict not in FAILED),
            timed=before.timed + is_timed,
            lead_days=before.lead_days + (max(found_at - started_at, timedelta()) / DAY if is_timed else 0.0),
        )
    return followed


def enter_risk(prediction: Prediction, risk: AnomalyRisk) -> None:
    """Let the larger of both count, the forecast's probability of passing the limit and the risk after the anomaly.

    Where there was no forecast, or none was possible, the risk is all there is.
    """
    told = prediction.explanation or {}
    of_risk = explain_risk(risk)
    if prediction.status != PredictionStatus.MADE:
        reason = prediction.not_possible_because or "The sensor has no failure limit that could be passed."
        prediction.status, prediction.not_possible_because = PredictionStatus.MADE, ""
        prediction.model_name, prediction.model_version = MODEL_NAME, MODEL_VERSION
        prediction.settings = {"prior_findings": PRIOR_FINDINGS, "prior_lead_days": PRIOR_LEAD_DAYS}
        prediction.horizon_days = HORIZON_DAYS
        told = {"certainty": "low", "certainty_reasons": [reason], "words": f"No forecast: {reason}"}
        by_forecast = None
    else:
        by_forecast = {str(days): prediction.probability_within(days) for days in DAYS_AHEAD}
    for days, probability in risk.probabilities().items():
        setattr(prediction, f"p_{days}d", max(prediction.probability_within(days) or 0.0, probability))
    for name, share in (("passes_p10_at", 0.1), ("passes_p50_at", 0.5), ("passes_p90_at", 0.9)):
        setattr(
            prediction, name, _earlier(getattr(prediction, name), risk.quantile(share), prediction.cutoff_at)
        )
    prediction.explanation = told | {
        "words": "\n".join(
            filter(None, [of_risk["words"], _comparison(by_forecast, risk), told.get("words", "")])
        ),
        "after_anomaly": of_risk | {"by_forecast": by_forecast},
    }


def _earlier(moment: datetime | None, ahead: timedelta | None, cutoff_at: datetime) -> datetime | None:
    others = [moment] if ahead is None else [moment, cutoff_at + ahead]
    return min(filter(None, others), default=None)


def _comparison(by_forecast: dict[str, float | None] | None, risk: AnomalyRisk) -> str:
    if by_forecast is None:
        return ""
    forecast = by_forecast["30"] or 0.0
    larger = "that of the anomaly" if risk.within(30) > forecast else "that of the forecast"
    return f"The forecast gives {forecast:.0%} of passing the limit; the larger of both counts, {larger}."
