"""When predictions become tasks, and what was decided on each."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from maintenance.models import Decision, MaintenancePolicy, Proposal
from predictions.admin import PredictionAdmin
from predictions.risk import percent
from smartmaint.accounts.scoped_admin import (
    OnlyRowAdmin,
    ReadOnlyScopedModelAdmin,
    ScopedStackedInline,
)

DECISION_BADGES = {
    Decision.PROPOSED: "warning",
    Decision.MERGED: "info",
    Decision.OVER_BUDGET: "danger",
}


@admin.register(MaintenancePolicy)
class MaintenancePolicyAdmin(OnlyRowAdmin):
    list_display = ["organization", "approval", "propose_from_probability", "propose_within_days"]
    fieldsets = [
        (
            "Propose a task",
            {
                "fields": [
                    ("propose_from_probability", "inspect_from_probability"),
                    ("propose_within_days", "approval"),
                ]
            },
        ),
        ("Not too often", {"fields": [("daily_budget", "cooldown_hours")]}),
    ]


class ProposalInline(ScopedStackedInline):
    """On the page of its prediction."""

    model = Proposal
    add_role = change_role = delete_role = None
    verbose_name_plural = "what was decided"
    fields = [("decision", "decided_at"), "reason", "task"]


def show_decisions_on_predictions() -> None:
    """The ledger's app is to the left and does not know of decisions: they put themselves on its page."""
    PredictionAdmin.inlines = [ProposalInline, *PredictionAdmin.inlines]


@admin.register(Proposal)
class ProposalAdmin(ReadOnlyScopedModelAdmin):
    empty_words = "Nothing was decided yet: every prediction is, as soon as it is made."
    list_display = ["decided_at", "sensor", "risk", "decision_badge", "reason", "task"]
    list_filter = [
        ("decision", ChoicesDropdownFilter),
        ("prediction__sensor__equipment__site", RelatedDropdownFilter),
        ("decided_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = [
        "prediction__sensor",
        "prediction__limit__sensor",
        "task",
        "organization",
    ]
    search_fields = ["prediction__sensor__key", "prediction__sensor__equipment__tag", "reason"]
    fields = ["prediction", ("decision", "decided_at"), "reason", "task"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Proposal]:
        return super().get_queryset(request).defer("prediction__path", "prediction__settings")

    @admin.display(description="sensor", ordering="prediction__sensor__key")
    def sensor(self, proposal: Proposal) -> str:
        return proposal.prediction.sensor.key

    @admin.display(description="P(30 d)", ordering="prediction__p_30d")
    def risk(self, proposal: Proposal) -> str:
        return percent(proposal.prediction.p_30d)

    @display(description="decision", ordering="decision", label=DECISION_BADGES)
    def decision_badge(self, proposal: Proposal) -> tuple[str, str]:
        return proposal.decision, proposal.get_decision_display()
