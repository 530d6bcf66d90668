"""Users as the commands name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from myagent.i18n import gettext as _

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def find_user(username: str) -> User:
    """The user of this name. Raises `CommandError` when there is none."""
    user: User | None = get_user_model()._default_manager.filter(username=username).first()
    if user is None:
        raise CommandError(_("There is no user %(name)r.") % {"name": username})
    return user
