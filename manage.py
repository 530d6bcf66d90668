#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.management import execute_from_command_line

from myagent.cli.words import set_up_console


def main() -> None:
    """Run the management command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    set_up_console()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
