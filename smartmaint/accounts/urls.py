"""Log-in, log-out, password, and the choice of an organisation."""

from django.contrib.auth import views as auth_views
from django.urls import path

from smartmaint.accounts.forms import LoginForm
from smartmaint.accounts.views import switch_organization

urlpatterns = [
    path(
        "login/",
        auth_views.LoginView.as_view(authentication_form=LoginForm, redirect_authenticated_user=True),
        name="login",
    ),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("password/", auth_views.PasswordChangeView.as_view(), name="password_change"),
    path("password/done/", auth_views.PasswordChangeDoneView.as_view(), name="password_change_done"),
    path("switch-organization/", switch_organization, name="switch-organization"),
]
