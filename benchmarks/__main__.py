"""Start the product in a folder of its own, and measure it: `python -m benchmarks loop_latency --json`."""

import argparse
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import django

from smartmaint.supervisor import adopt_running_environment
from tests.processes.product import RunningProduct, running_product

SUBJECTS = ("ingest", "loop_latency", "real_input")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subject", choices=SUBJECTS)
    chosen, rest = parser.parse_known_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="smartmaint-benchmark-") as folder,
        running_product(Path(folder)) as product,
    ):
        be_inside(product)
        return import_module(f"benchmarks.{chosen.subject}").main(product, rest)


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
