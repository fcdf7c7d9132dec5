"""Forms about people and keys."""

from datetime import datetime

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Membership, Scope, User
from smartmaint.accounts.scoped_admin.forms import ScopedModelForm
from smartmaint.accounts.services import require_another_admin


class LoginForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "This username and password do not belong together. Mind upper and lower case.",
        "inactive": "This account has been switched off. Ask your admin.",
    }


class NewMemberForm(ScopedModelForm):
    """A new person and their place in the organisation."""

    username = User._meta.get_field("username").formfield(widget=UnfoldAdminTextInputWidget)
    first_name = User._meta.get_field("first_name").formfield(widget=UnfoldAdminTextInputWidget)
    last_name = User._meta.get_field("last_name").formfield(widget=UnfoldAdminTextInputWidget)
    email = User._meta.get_field("email").formfield(widget=UnfoldAdminEmailInputWidget)
    password = forms.CharField(
        label="First password",
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Tell it to the person, who changes it after the first log-in.",
    )

    class Meta:
        model = Membership
        fields = ["username", "first_name", "last_name", "email", "role", "password"]

    def clean_username(self) -> str:
        username = self.cleaned_data["username"]
        # Never says who has it: people of other organisations are none of this one's business.
        if User.objects.filter(username__iexact=username).exists():
            raise ValidationError("Choose another username.", code="taken")
        return username

    def clean(self) -> dict:
        cleaned = super().clean()
        if "password" in cleaned and "username" in cleaned:
            names = {name: cleaned.get(name, "") for name in ("username", "first_name", "last_name", "email")}
            try:
                validate_password(cleaned["password"], User(**names))
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


class MembershipForm(ScopedModelForm):
    """What a member may do, and whether they may come in at all."""

    class Meta:
        model = Membership
        fields = ["role", "is_active"]

    def clean(self) -> dict:
        cleaned = super().clean()
        stays_admin = cleaned.get("role") == "admin" and cleaned.get("is_active")
        if not stays_admin:
            require_another_admin(self.instance)
        return cleaned


class ResetPasswordForm(forms.Form):
    password = forms.CharField(
        label="New password",
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=" ".join(password_validators_help_texts()),
    )


class ApiKeyForm(ScopedModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What the key may be used for.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scopes", "time_zone", "expires_at", "is_active"]

    def clean_expires_at(self) -> datetime | None:
        expires_at = self.cleaned_data["expires_at"]
        # A key that is over keeps its date: it must stay possible to rename or disable it.
        if expires_at and "expires_at" in self.changed_data and expires_at <= clock.now():
            raise ValidationError("Choose a time that is still to come, or none.", code="past")
        return expires_at
