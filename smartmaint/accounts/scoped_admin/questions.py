"""Buttons of a row's page that do something: a page asks first, then a service does it, or says why not."""

from collections.abc import Callable
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse


@dataclass(frozen=True)
class Question:
    """What is asked before something is done: a sentence or a form, and the words of the button."""

    title: str
    submit: str
    words: str = ""
    is_dangerous: bool = False


def ask_and_do(
    model_admin: ModelAdmin,
    request: HttpRequest,
    row: Model,
    *,
    question: Question,
    do: Callable[[forms.Form], str],
    refusals: tuple[type[Exception], ...],
    form: forms.Form | None = None,
) -> HttpResponse:
    """Show the question; once it is answered, do it and go back to the row's page.

    `do` takes the valid form and returns the words of success. A refusal is shown with what was typed, so that
    nothing is lost.
    """
    if form is None:
        form = forms.Form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            done = do(form)
        except refusals as refusal:
            form.add_error(None, str(refusal))
        else:
            model_admin.message_user(request, done, messages.SUCCESS)
            return redirect(page_of(model_admin, row))
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": row,
        "title": question.title,
        "question": question,
        "form": form,
        "page_of_row": page_of(model_admin, row),
    }
    return TemplateResponse(request, "admin/question.html", context)


def page_of(model_admin: ModelAdmin, row: Model) -> str:
    opts = model_admin.opts
    return reverse(f"{model_admin.admin_site.name}:{opts.app_label}_{opts.model_name}_change", args=[row.pk])
