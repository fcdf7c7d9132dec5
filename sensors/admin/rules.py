"""What makes an anomaly more or less credible; a rule can be tried on the past month before it counts."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from sensors.models import ValidationRule
from sensors.services.rules import missing_rules, seed_validation_rules
from sensors.services.trying import Trial, try_rule
from smartmaint.accounts.access import organization_of
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ScopedHistoryAdmin
from smartmaint.accounts.scoped_admin.questions import Question, asks_first, page_of

TRIED_FIELDS = ["fact", "operator", "value", "adjustment"]


@admin.register(ValidationRule)
class ValidationRuleAdmin(ScopedHistoryAdmin):
    """What makes an anomaly more or less credible."""

    list_display = ["name", "condition", "adjustment_in_words", "reason", "is_active"]
    list_filter = ["is_active", ("fact", ChoicesDropdownFilter)]
    list_filter_submit = True
    search_fields = ["name", "reason"]
    fieldsets = [
        (None, {"fields": ["name", "is_active"]}),
        ("When", {"fields": [("fact", "operator", "value")]}),
        ("Then", {"fields": ["adjustment", "reason"]}),
    ]
    actions_list = ["add_usual"]
    actions_detail = ["try_it"]

    @admin.display(description="when", ordering="fact")
    def condition(self, rule: ValidationRule) -> str:
        return f"{rule.get_fact_display()} {rule.get_operator_display()} {rule.value}"

    @admin.display(description="confidence", ordering="adjustment")
    def adjustment_in_words(self, rule: ValidationRule) -> str:
        return f"{rule.adjustment:+.2f}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ValidationRule]:
        return super().get_queryset(request).select_related("organization")

    @asks_first(
        "Add the usual rules that are missing",
        url_path="add-usual",
        permission="add",
        icon="playlist_add",
        refusals=(),
    )
    def add_usual(self, request: HttpRequest) -> Question:
        """For an organisation that is older than some of them, or has deleted some."""
        organization = organization_of(request)
        missing = [rule.name for rule in missing_rules(organization)]
        return Question(
            title="Add the usual rules that are missing",
            words=_named("These are missing", missing) if missing else "No usual rule is missing.",
            submit=f"Add {len(missing)}" if missing else "",
            do=lambda _: _named("Added", seed_validation_rules(organization)),
        )

    def has_try_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, Role.MANAGER)

    @action(description="Try it on the last 30 days", url_path="try", permissions=["try"], icon="science")
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the rule would have done; its parts can be changed for the trial, and nothing is saved."""
        rule = self.own_row(request, object_id)
        page_of_row = page_of(self, rule)
        form_class = self.get_form(request, rule, change=True, fields=TRIED_FIELDS)
        is_changed = any(name in request.GET for name in TRIED_FIELDS)
        name = str(rule)
        form = form_class(request.GET if is_changed else None, instance=rule)
        # A valid form puts what was typed into the row, which is never saved.
        trial = try_rule(rule) if not is_changed or form.is_valid() else None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": name,
            "title": "Try a rule",
            "form": form,
            "trial": trial,
            "changes": [] if trial is None else _changes_in_words(trial),
            "page_of_row": page_of_row,
        }
        return TemplateResponse(request, "admin/sensors/try_rule.html", context)


def _named(words: str, names: list[str]) -> str:
    return f"{words}: {', '.join(names)}." if names else "No usual rule was missing."


def _changes_in_words(trial: Trial) -> list[tuple[str, int]]:
    return [
        (f"from {before.label.lower()} to {after.label.lower()}", count)
        for (before, after), count in trial.changes().items()
    ]
