"""Every address of the URL configuration, pointed at the rows of one organisation or the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter
from django.utils.regex_helper import normalize
from django.views.generic import RedirectView

from equipment.models import Equipment
from smartmaint.accounts.scoping import OrganizationOwned
from tests.walls.world import World

# Names that stand for a row's id where the pattern itself does not say that it is a number.
ID_PARAMETERS = {"object_id", "id", "_0", "_1"}


class UnknownParameter(Exception):
    """The walk does not know what to put into an address: teach `Address.fillings` what the parameter is."""


@dataclass(frozen=True)
class Address:
    """One pattern, such as `machines/%(pk)s/`, with its parameters."""

    template: str
    parameters: tuple[str, ...]
    numbers: frozenset[str]

    @property
    def is_api(self) -> bool:
        return self.template.startswith("api/")

    @property
    def is_of_an_organization(self) -> bool:
        """Whether the rows in it belong to organisations, not to the installation as a whole."""
        registered = {
            (model._meta.app_label, model._meta.model_name): model for model in admin.site._registry
        }
        if model := registered.get(tuple(self.template.split("/")[1:3])):
            return issubclass(model, OrganizationOwned)
        return any(self._is_id(name) or name == "key" for name in self.parameters)

    def own(self, own: World) -> list[str]:
        """The address with own rows in it, once for each page that it stands for."""
        return self._filled([own])

    def foreign(self, own: World, foreign: World) -> list[str]:
        """The address with a foreign row in at least one of its places."""
        return [path for path in self._filled([own, foreign]) if path not in self._filled([own])]

    def _filled(self, worlds: list[World]) -> list[str]:
        choices = [self.fillings(name, worlds) for name in self.parameters]
        return [
            "/" + self.template % dict(zip(self.parameters, values, strict=True))
            for values in product(*choices)
        ]

    def fillings(self, name: str, worlds: list[World]) -> list[str]:
        if self._is_id(name):
            return [str(world.first_id) for world in worlds]
        match name:
            case "key":
                return [world.sensor_key for world in worlds]
            case "app_label":
                return sorted({model._meta.app_label for model in admin.site._registry})
            case "content_type_id":
                return [str(ContentType.objects.get_for_model(Equipment).pk)]
            case "url":
                return ["nowhere"]
        raise UnknownParameter(f"{name} in {self.template}")

    def _is_id(self, name: str) -> bool:
        return name in ID_PARAMETERS or name in self.numbers


def every_address() -> list[Address]:
    """All of them; a page that is added tomorrow is among them."""
    return list(dict.fromkeys(_walk(get_resolver())))


def _walk(resolver: URLResolver, prefix: str = "") -> Iterator[Address]:
    for pattern in resolver.url_patterns:
        regex = prefix + pattern.pattern.regex.pattern.removeprefix("^")
        if isinstance(pattern, URLPattern):
            yield from _addresses(pattern, regex)
        else:
            yield from _walk(pattern, regex)


def _addresses(pattern: URLPattern, regex: str) -> Iterator[Address]:
    if getattr(pattern.callback, "view_class", None) is RedirectView:
        return  # Reads no row, and leads to an address that is walked itself.
    converters = getattr(pattern.pattern, "converters", {})
    numbers = frozenset(name for name, converter in converters.items() if isinstance(converter, IntConverter))
    for template, parameters in normalize(regex):
        yield Address(template, tuple(parameters), numbers)
