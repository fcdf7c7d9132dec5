"""Admin pages for organisations, people and keys."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms import BaseModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from unfold.admin import TabularInline
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from smartmaint.accounts import services
from smartmaint.accounts.forms import ApiKeyForm, MembershipForm, NewMemberForm, ResetPasswordForm
from smartmaint.accounts.models import ApiKey, Membership, Organization, Role, User
from smartmaint.accounts.scoped_admin import OperatorModelAdmin, ScopedModelAdmin

admin.site.unregister(Group)


@admin.register(Organization)
class OrganizationAdmin(OperatorModelAdmin):
    list_display = ["name", "slug", "time_zone", "is_active", "created_at"]
    list_filter = ["is_active"]
    search_fields = ["name", "slug"]
    fields = ["name", "slug", "time_zone", "is_active"]
    prepopulated_fields = {"slug": ["name"]}

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # Its rows are a plant's history: it is switched off instead.

    def save_model(self, request: HttpRequest, obj: Organization, form: BaseModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            created = services.create_organization(name=obj.name, time_zone=obj.time_zone, slug=obj.slug)
            obj.pk = created.pk


@admin.register(Membership)
class MembershipAdmin(ScopedModelAdmin):
    """An organisation's people: its managers see them, its admins add them and say what they may do."""

    view_role = Role.MANAGER
    add_role = change_role = Role.ADMIN
    delete_role = None  # What a person did stays theirs: a membership is switched off instead.
    list_display = ["full_name", "username", "role", "is_active", "last_login"]
    list_filter = ["role", "is_active"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__username", "user__first_name", "user__last_name", "user__email"]
    ordering = ["user__username"]
    readonly_fields = ["full_name", "username", "email", "last_login"]
    fields = ["full_name", "username", "email", "last_login", "role", "is_active"]
    actions_detail = ["reset_password"]

    @admin.display(description="name", ordering="user__last_name")
    def full_name(self, membership: Membership) -> str:
        return membership.user.display_name

    @admin.display(description="username", ordering="user__username")
    def username(self, membership: Membership) -> str:
        return membership.user.username

    @admin.display(description="e-mail")
    def email(self, membership: Membership) -> str:
        return membership.user.email

    @admin.display(description="last log-in", ordering="user__last_login")
    def last_login(self, membership: Membership) -> Any:
        return membership.user.last_login

    def get_form(
        self, request: HttpRequest, obj: Membership | None = None, change: bool = False, **kwargs: Any
    ) -> type[BaseModelForm]:
        kwargs.setdefault("form", MembershipForm if obj else NewMemberForm)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return super().get_fields(request, obj) if obj else NewMemberForm._meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return super().get_readonly_fields(request, obj) if obj else []

    def save_model(self, request: HttpRequest, obj: Membership, form: BaseModelForm, change: bool) -> None:
        if not change:
            person = {name: form.cleaned_data[name] for name in NewMemberForm._meta.fields}
            created = services.add_member(organization=request.organization, **person)
            obj.pk, obj.user = created.pk, created.user
            return
        services.set_role(membership=obj, role=obj.role)
        if not obj.is_active:
            services.deactivate_member(membership=obj)
        elif "is_active" in form.changed_data:
            services.reactivate_member(membership=obj)

    @action(description="Reset password", url_path="reset-password", permissions=["change"], icon="key")
    def reset_password(self, request: HttpRequest, object_id: str) -> HttpResponse:
        membership = self.own_row(request, object_id)
        form = ResetPasswordForm(request.POST or None)
        if form.is_valid():
            try:
                services.reset_password(membership=membership, new_password=form.cleaned_data["password"])
            except ValidationError as error:
                form.add_error("password", error)
            else:
                self.message_user(request, f"{membership.user} has a new password.", messages.SUCCESS)
                return redirect("admin:accounts_membership_change", membership.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Reset the password of {membership.user.display_name}",
            "form": form,
        }
        return TemplateResponse(request, "admin/accounts/membership/reset_password.html", context)


@admin.register(ApiKey)
class ApiKeyAdmin(ScopedModelAdmin):
    """Integrators' keys. A secret is shown in the answer to the request that made it, and never again."""

    view_role = add_role = change_role = Role.ADMIN
    delete_role = None  # Batches name the key that sent them: it is disabled instead.
    form = ApiKeyForm
    list_display = ["name", "prefix", "scopes", "is_active", "expires_at", "last_used_at"]
    list_filter = ["is_active"]
    search_fields = ["name", "prefix"]
    readonly_fields = ["prefix", "last_used_at", "created_at", "created_by"]
    actions = ["disable"]
    actions_detail = ["issue_successor"]

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        asked = ["name", "scopes", "time_zone", "expires_at"]
        return [*asked, "is_active", *self.readonly_fields] if obj else asked

    def save_model(self, request: HttpRequest, obj: ApiKey, form: BaseModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        created, request.issued_secret = services.issue_api_key(
            organization=request.organization,
            name=obj.name,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
            time_zone=obj.time_zone,
            created_by=request.user,
        )
        obj.pk, obj.prefix = created.pk, created.prefix

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_secret(request, obj, request.issued_secret)

    @action(description="Issue a successor", url_path="successor", permissions=["change"], icon="autorenew")
    def issue_successor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        api_key = self.own_row(request, object_id)
        if request.method == "POST":
            successor, secret = services.issue_successor(api_key=api_key, created_by=request.user)
            self.log_addition(request, successor, f"Successor of {api_key}")
            return self._show_secret(request, successor, secret)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "api_key": api_key}
        context["title"] = f"Issue a successor of {api_key.name}"
        return TemplateResponse(request, "admin/accounts/apikey/successor.html", context)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet) -> None:
        for api_key in queryset:
            services.disable_api_key(api_key=api_key)
        self.message_user(request, "The keys open nothing any more.", messages.SUCCESS)

    def _show_secret(self, request: HttpRequest, api_key: ApiKey, secret: str) -> HttpResponse:
        """Answer with the secret itself: to survive a redirect it would have to be stored somewhere."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"The secret of {api_key.name}",
            "api_key": api_key,
            "secret": secret,
        }
        response = TemplateResponse(request, "admin/accounts/apikey/secret.html", context)
        add_never_cache_headers(response)
        return response


class MembershipInline(TabularInline):
    """Where a person belongs; here the operator gives somebody a place in a second organisation."""

    model = Membership
    fields = ["organization", "role", "is_active"]
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(DjangoUserAdmin, OperatorModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = [MembershipInline]
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser"]
    filter_horizontal = ()
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Rights", {"fields": ["is_active", "is_superuser"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
