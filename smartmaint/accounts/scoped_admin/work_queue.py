"""For models that are queues of the work engine: what is stuck, why, and trying it again."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin.model_admin import ScopedModelAdmin


class StuckFilter(admin.SimpleListFilter):
    title = "work"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        rows = model_admin.get_queryset(request)
        return [
            ("stuck", f"Stuck ({rows.stuck().count()})"),
            ("pending", f"Pending ({rows.pending().count()})"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "stuck":
                return queryset.stuck()
            case "pending":
                return queryset.pending()
        return queryset


class WorkQueueAdmin(ScopedModelAdmin):
    """Adds the filter "stuck" and the action "try again", to a read-only page too: no content changes."""

    try_again_role: ClassVar[Role | None] = Role.MANAGER
    actions = ("try_again",)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [StuckFilter, *super().get_list_filter(request)]

    def has_try_again_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.try_again_role, obj)

    @admin.action(description="Try again (what is stuck)", permissions=["try_again"])
    def try_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = self.model._default_manager.filter(pk__in=queryset.values("pk")).try_again()
        if count:
            self.message_user(request, f"{count} put back in the queue.", messages.SUCCESS)
        else:
            self.message_user(request, "None of these is stuck.", messages.WARNING)
