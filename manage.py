#!/usr/bin/env python
"""Django's command line, on the database of a running `make run` where no other is named."""

import os
import sys

from django.core.management import execute_from_command_line

from smartmaint.supervisor import adopt_running_environment

if __name__ == "__main__":
    adopt_running_environment(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartmaint.settings")
    execute_from_command_line(sys.argv)
