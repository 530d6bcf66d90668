"""`python -m myagent.cli.server FILE…`: hands over to the `runagent` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import load_command_class

from myagent.cli.console import set_up_console
from myagent.i18n import find_language, use_language
from myagent.i18n import gettext as _


def set_up() -> None:
    """Make Django ready, with the settings of this server unless others are named. Exits when they cannot be used."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    set_up_console()
    try:
        django.setup()
    except Exception as error:
        if words := settings_trouble(error):
            sys.exit(words)
        raise


def settings_trouble(error: Exception) -> str | None:
    """The message about settings that raised `error`; None when that is no mistake of the user."""
    if isinstance(error, ImproperlyConfigured | OSError):
        return f"❌ {error}"
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        # Without settings the language is not known yet.
        if (language := find_language(os.environ.get("MYAGENT_LANGUAGE", ""))) is not None:
            use_language(language)
        words = _("There is no module %(module)s, which DJANGO_SETTINGS_MODULE names as the settings.")
        cure = _("Check the name, and that its folder is the current one or in PYTHONPATH; or unset the variable.")
        return f"❌ {words % {'module': module}}\n   {cure}"
    return None


def serve(arguments: Sequence[str], *, prog: tuple[str, str] = ("python -m", "myagent.cli.server")) -> None:
    """Run `runagent` with these arguments; `prog` is how the help calls it. Exits the process on errors."""
    set_up()
    load_command_class("agents", "runagent").run_from_argv([*prog, *arguments])


if __name__ == "__main__":
    serve(sys.argv[1:])
