"""Buttons of a row's page or a list that do something: a page asks first, then a service does it, or says why not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.enums import ActionVariant


@dataclass(frozen=True)
class Question:
    """What is asked before something is done: a sentence or a form, and the words of the button.

    `do` takes the valid form and returns the words of success. `form` is asked for with `answers(request)`, and is
    empty by default; `next_page` says where to go when it is done, by default back to the row's page or the list.
    Without the words of a button (`submit`) there is nothing to do.
    """

    title: str
    submit: str
    do: Callable[[Any], str]
    words: str = ""
    is_dangerous: bool = False
    form: forms.BaseForm | None = None
    next_page: Callable[[], str] | None = None


def asks_first(
    description: str,
    *,
    url_path: str,
    permission: str,
    icon: str,
    refusals: tuple[type[Exception], ...],
    variant: ActionVariant = ActionVariant.DEFAULT,
) -> Callable[[Callable[..., Question]], Any]:
    """Make a button of a method that returns a Question.

    In `actions_detail` it takes the request and the own row, a foreign row being a 404; in `actions_list` the request
    alone. What `do` refuses with one of `refusals` is shown with what was typed.
    """

    def decorate(method: Callable[..., Question]) -> Any:
        @action(
            description=description, url_path=url_path, permissions=[permission], icon=icon, variant=variant
        )
        @wraps(method)
        def button(model_admin: Any, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
            if object_id is None:
                return _ask_and_do(model_admin, request, None, method(model_admin, request), refusals)
            row = model_admin.own_row(request, object_id)
            return _ask_and_do(model_admin, request, row, method(model_admin, request, row), refusals)

        return button

    return decorate


def answers(request: HttpRequest) -> QueryDict | None:
    """What was filled in, for the form of a question; None while it is asked."""
    return request.POST if request.method == "POST" else None


def _ask_and_do(
    model_admin: ModelAdmin,
    request: HttpRequest,
    row: Model | None,
    question: Question,
    refusals: tuple[type[Exception], ...],
) -> HttpResponse:
    form = question.form if question.form is not None else forms.Form(answers(request))
    # The row may be gone when it is done.
    page_before = list_of(model_admin) if row is None else page_of(model_admin, row)
    if request.method == "POST" and form.is_valid():
        try:
            done = question.do(form)
        except refusals as refusal:
            form.add_error(None, str(refusal))
        else:
            model_admin.message_user(request, done, messages.SUCCESS)
            return redirect(question.next_page() if question.next_page else page_before)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": row,
        "title": question.title,
        "question": question,
        "form": form,
        "page_before": page_before,
    }
    return TemplateResponse(request, "admin/question.html", context)


def page_of(model_admin: ModelAdmin, row: Model) -> str:
    return reverse(_name_of(model_admin, "change"), args=[row.pk])


def list_of(model_admin: ModelAdmin) -> str:
    return reverse(_name_of(model_admin, "changelist"))


def _name_of(model_admin: ModelAdmin, page: str) -> str:
    return f"{model_admin.admin_site.name}:{model_admin.opts.app_label}_{model_admin.opts.model_name}_{page}"
