"""Start the product in a folder of its own, and measure it: `python -m benchmarks loop_latency --json`."""

import argparse
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import django

from smartmaint.supervisor import adopt_running_environment
from smartmaint.supervisor.throwaway import with_database
from tests.processes.product import RunningProduct, running_product

SUBJECTS = ("ingest", "loop_latency", "real_input")
ON_A_DATABASE_ALONE = ("alarms", "refresh", "replay")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subject", choices=SUBJECTS + ON_A_DATABASE_ALONE)
    chosen, rest = parser.parse_args(arguments[:1]), arguments[1:]
    if chosen.subject in ON_A_DATABASE_ALONE:
        return run_on_a_database(chosen.subject, rest)
    with (
        tempfile.TemporaryDirectory(prefix="smartmaint-benchmark-") as folder,
        running_product(Path(folder)) as product,
    ):
        be_inside(product)
        return import_module(f"benchmarks.{chosen.subject}").main(product, rest)


def run_on_a_database(subject: str, rest: list[str]) -> int:
    """Begin anew with a database of its own, where there is none yet."""
    os.environ.setdefault("SECRET_KEY", "only for benchmarks")
    if "DATABASE_URL" not in os.environ:
        return with_database([sys.executable, "-m", "benchmarks", subject, *rest], is_kept=False)
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ["DJANGO_SETTINGS_MODULE"] = "smartmaint.settings"
    django.setup()
    return import_module(f"benchmarks.{subject}").main(rest)


def be_inside(product: RunningProduct) -> None:
    """From here on this process, too, works on the product's database."""
    os.environ.pop("DATABASE_URL", None)
    os.environ["SMARTMAINT_VAR"] = product.environment["SMARTMAINT_VAR"]
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ["DJANGO_SETTINGS_MODULE"] = "smartmaint.settings"
    adopt_running_environment(os.environ)
    django.setup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
