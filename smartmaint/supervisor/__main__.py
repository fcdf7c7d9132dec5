"""`python -m smartmaint.supervisor run` and `... with-database -- COMMAND`."""

import argparse
import sys

from smartmaint.supervisor.errors import StartRefusedError
from smartmaint.supervisor.product import run
from smartmaint.supervisor.throwaway import with_database


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m smartmaint.supervisor", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    commands.add_parser("run", help="run database, web, worker and beat until Ctrl-C")
    with_database_parser = commands.add_parser("with-database", help="run a command on a database of its own")
    with_database_parser.add_argument("--keep", action="store_true", help="leave the database folder behind")
    with_database_parser.add_argument("command", nargs="+", help="the command, after --")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.name == "run":
            return run()
        return with_database(chosen.command, is_kept=chosen.keep)
    except StartRefusedError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
