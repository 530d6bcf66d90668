#!/usr/bin/env python
"""Django's command line for this project."""

import importlib.util
import os
import sys


def check_python() -> None:
    """Say what is missing, in words that need nothing which may be missing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - who starts this may have another Python than pip would allow
        sys.exit("❌ 需要 Python 3.11 或更新的版本。\n   Python 3.11 or newer is needed.")
    if importlib.util.find_spec("django") is None:
        sys.exit(
            "❌ 未安装依赖。请先运行 pip install -r requirements-ws.txt，或使用 .venv/bin/python。\n"
            "   The packages are not installed. Run pip install -r requirements-ws.txt first, or use .venv/bin/python."
        )


def main() -> None:
    """Run the management command that the arguments name."""
    check_python()
    # Only now: these need what was looked for above.
    from myagent.startup.interrupts import end_quietly

    end_quietly()
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import Error

    from myagent.cli.console import set_up_console
    from myagent.cli.server import settings_trouble

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    set_up_console()
    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, ModuleNotFoundError) as error:
        if words := settings_trouble(error):
            sys.exit(words)
        raise
    except Error as error:
        # Once the settings are known.
        from agents.database.trouble import words_about

        if "--traceback" not in sys.argv and (words := words_about(error)):
            sys.exit(f"❌ {words}")
        raise


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
