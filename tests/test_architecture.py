"""The house's two rules of imports, and that nobody forgot to listen."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

from django.apps import apps
from django.dispatch import Signal
from django.utils.module_loading import module_has_submodule

ROOT = Path(__file__).parents[1]

# From left to right; an app imports only what stands to its left.
APPS = [
    "smartmaint.accounts",
    "smartmaint.notifications",
    "equipment",
    "sensors",
    "predictions",
    "maintenance",
]
KNOW_ALL_APPS = {
    "smartmaint.settings",
    "smartmaint.urls",
    "smartmaint.celery",
    "smartmaint.demo",
    "smartmaint.management.commands.load_demo",
    "smartmaint.management.commands.replay",
}

# Inside an app; a layer imports only those above it and itself.
LAYERS = [
    {"models"},
    {"services"},
    {"bridge"},
    {"agents", "receivers", "views", "api", "admin", "forms", "urls", "management", "scoped_admin"},
]
PURE = [
    "equipment.weighing",
    "sensors.alarms",
    "sensors.condition",
    "sensors.counting",
    "sensors.detection",
    "sensors.ingest",
    "predictions.accuracy",
    "predictions.forecasting",
    "maintenance.scheduling",
    "smartmaint.supervisor",
]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def product_modules() -> dict[str, Path]:
    folders = {name.split(".")[0] for name in APPS}
    return {
        module_name(path): path
        for folder in sorted(folders)
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    }


MODULES = product_modules()


def imports_of(path: Path) -> list[tuple[str, ast.stmt]]:
    """What a module imports, as whole dotted names, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(f"{node.module}.{alias.name}", node) for alias in node.names]
    return found


def app_of(module: str) -> str | None:
    return next((app for app in APPS if module == app or module.startswith(app + ".")), None)


def is_in(module: str, packages: set[str] | list[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def layer_of(module: str) -> int | None:
    app = app_of(module)
    if app is None:
        return None
    parts = module.removeprefix(app).strip(".").split(".")
    return next((rank for rank, names in enumerate(LAYERS) if parts[0] in names), None)


def violations(forbidden) -> dict[str, list[str]]:
    """Per module the imports that `forbidden(module, imported name)` says it must not have."""
    found = {
        module: [name for name, _ in imports_of(path) if forbidden(module, name)]
        for module, path in MODULES.items()
        if not is_in(module, KNOW_ALL_APPS)
    }
    return {module: names for module, names in found.items() if names}


def test_an_app_names_none_to_its_right():
    def is_to_the_right(module, name):
        own, other = app_of(module), app_of(name)
        return own is not None and other is not None and APPS.index(other) > APPS.index(own)

    assert violations(is_to_the_right) == {}


def test_the_project_package_knows_no_domain_app():
    assert violations(lambda module, name: app_of(module) is None and app_of(name) in APPS[1:]) == {}


def test_inside_an_app_imports_go_from_the_edges_to_the_models():
    def is_nearer_the_edge(module, name):
        own, other = layer_of(module), layer_of(name)
        return app_of(module) == app_of(name) and None not in (own, other) and other > own

    assert violations(is_nearer_the_edge) == {}


def test_pure_packages_know_no_django():
    assert (
        violations(
            lambda module, name: is_in(module, PURE) and name.split(".")[0] in {"django", "rest_framework"}
        )
        == {}
    )


def test_every_import_stands_at_the_top():
    nested = {
        module: [
            name
            for name, node in imports_of(path)
            if node.col_offset > 0 and not (path.name == "apps.py" and name.endswith(".receivers"))
        ]
        for module, path in MODULES.items()
    }
    assert {module: names for module, names in nested.items() if names} == {}


def test_every_module_is_named_for_what_it_holds():
    unwanted = {"utils", "helpers", "mixins", "common", "misc"}
    assert [module for module in MODULES if unwanted & set(module.split("."))] == []


def signals() -> dict[str, Signal]:
    return {
        f"{config.name}.{name}": signal
        for config in apps.get_app_configs()
        if config.name in APPS and module_has_submodule(config.module, "signals")
        for name, signal in vars(importlib.import_module(f"{config.name}.signals")).items()
        if isinstance(signal, Signal)
    }


def test_every_receiver_is_connected():
    receivers = {
        f"{config.name}.{name}"
        for config in apps.get_app_configs()
        if config.name in APPS and module_has_submodule(config.module, "receivers")
        for name in vars(importlib.import_module(f"{config.name}.receivers"))
        if name.startswith("on_")
    }
    connected = {
        f"{listener.__module__.removesuffix('.receivers')}.{listener.__name__}"
        for signal in signals().values()
        for _, reference, *_ in signal.receivers
        if (listener := reference()) is not None
    }
    assert receivers
    assert connected >= receivers


def test_the_documented_signals_are_those_that_exist():
    documented = (ROOT / "docs" / "signals.md").read_text()
    assert [name for name in signals() if f"`{name.rsplit('.', 1)[1]}`" not in documented] == []


def test_a_page_that_needs_a_name_of_forecasting_does_not_load_prophet():
    """It takes seconds at every start, and 60 MB of every process."""
    asked = "from predictions.forecasting import after_anomaly, champions, recalibration, request, result"
    code = f"import sys; {asked}; sys.exit(bool({{'prophet', 'pandas'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
