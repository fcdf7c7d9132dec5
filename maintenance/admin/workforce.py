"""Technicians with their certificates, shifts and absences; skills and standard jobs."""

from typing import Any

from django.contrib import admin
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from equipment.admin import name_classes
from maintenance.admin.forms import AbsenceForm, AbsenceFormSet
from maintenance.models import (
    Absence,
    Certificate,
    Shift,
    Skill,
    StandardJob,
    StandardJobSkill,
    Technician,
)
from maintenance.wording import minutes_in_words
from smartmaint.accounts.scoped_admin import ScopedModelAdmin, ScopedTabularInline


class CertificateInline(ScopedTabularInline):
    model = Certificate
    fields = ["skill", "valid_until"]
    tab = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Certificate]:
        return super().get_queryset(request).select_related("technician__user", "skill")


class ShiftInline(ScopedTabularInline):
    model = Shift
    fields = ["weekday", "starts_at", "ends_at"]
    tab = True


class AbsenceInline(ScopedTabularInline):
    model = Absence
    form = AbsenceForm
    formset = AbsenceFormSet
    fields = ["begins_at", "ends_at", "reason"]
    tab = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Absence]:
        return super().get_queryset(request).select_related("technician__user")


@admin.register(Technician)
class TechnicianAdmin(ScopedModelAdmin):
    list_display = ["name", "username", "home_site", "skills", "is_active"]
    list_filter = [("home_site", RelatedDropdownFilter), "is_active"]
    list_filter_submit = True
    list_select_related = ["user", "home_site", "organization"]
    search_fields = ["user__username", "user__first_name", "user__last_name"]
    fields = ["user", "home_site", "is_active"]
    inlines = [CertificateInline, ShiftInline, AbsenceInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Technician]:
        return super().get_queryset(request).prefetch_related("certificates__skill")

    @admin.display(description="name", ordering="user__last_name")
    def name(self, technician: Technician) -> str:
        return technician.user.display_name

    @admin.display(description="username", ordering="user__username")
    def username(self, technician: Technician) -> str:
        return technician.user.username

    @display(description="skills", label=True)
    def skills(self, technician: Technician) -> list[str]:
        return [certificate.skill.name for certificate in technician.certificates.all()]


@admin.register(Skill)
class SkillAdmin(ScopedModelAdmin):
    list_display = ["name"]
    search_fields = ["name"]


class NeedInline(ScopedTabularInline):
    model = StandardJobSkill
    fields = ["skill"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StandardJobSkill]:
        return super().get_queryset(request).select_related("standard_job", "skill")


@admin.register(StandardJob)
class StandardJobAdmin(ScopedModelAdmin):
    list_display = ["title", "failure_mode", "duration", "needs"]
    list_filter = [("failure_mode__equipment_class", RelatedDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["failure_mode__equipment_class", "organization"]
    search_fields = ["title", "instructions"]
    fields = ["title", "failure_mode", "duration_minutes", "instructions"]
    inlines = [NeedInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StandardJob]:
        return super().get_queryset(request).prefetch_related("skills")

    def formfield_for_foreignkey(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return name_classes(field) if db_field.name == "failure_mode" else field

    @admin.display(description="duration", ordering="duration_minutes")
    def duration(self, job: StandardJob) -> str:
        return minutes_in_words(job.duration_minutes)

    @display(description="needs", label=True)
    def needs(self, job: StandardJob) -> list[str]:
        return [skill.name for skill in job.skills.all()]
