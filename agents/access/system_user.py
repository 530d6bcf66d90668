"""The users who stand in the audit log for others: for the server's own command line, and for people who were deleted.

They are inactive and have no password: no person can log in as them.
"""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SYSTEM_USERNAME = "manage.py"
DELETED_USERNAME = "(deleted)"


def system_user() -> User:
    """Who did what is done on the command line; made when it is first needed."""
    return _placeholder(SYSTEM_USERNAME)


def deleted_user() -> User:
    """Who did what people did that were deleted; made when it is first needed."""
    return _placeholder(DELETED_USERNAME)


def _placeholder(name: str) -> User:
    users = get_user_model()._default_manager
    user: User = users.get_or_create(username=name, defaults={"is_active": False, "password": "!"})[0]
    return user


def operator() -> str:
    """Whoever runs this process, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for the number
        return f"uid {os.getuid()}"
