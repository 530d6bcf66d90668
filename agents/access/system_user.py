"""The user who stands in the audit log for what is done on the server's own command line."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SYSTEM_USERNAME = "manage.py"


def system_user() -> User:
    """That user; made when it is first needed. It is inactive and has no password: no person can log in as it."""
    users = get_user_model()._default_manager
    user: User = users.get_or_create(username=SYSTEM_USERNAME, defaults={"is_active": False, "password": "!"})[0]
    return user


def operator() -> str:
    """Whoever runs this process, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for the number
        return f"uid {os.getuid()}"
