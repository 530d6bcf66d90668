"""The browser sessions of one user, of which Django keeps no list. All of it blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY
from django.utils import timezone

from agents.access.credentials import session_store
from agents.models import Invitation

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def can_end_logins() -> bool:
    """Whether browser sessions are kept where they can be found: in the database, as is the default."""
    return hasattr(session_store(), "get_model_class")


def end_logins(user: User) -> int:
    """End all browser sessions of `user` and withdraw the links that log in as them; returns how many sessions.

    Their connections are closed when these are checked next (see `agents.access.revocation`).
    """
    Invitation.objects.withdraw(user)
    store = session_store()
    rows = store.get_model_class()._default_manager.filter(expire_date__gt=timezone.now())
    key = user._meta.pk.value_to_string(user)
    keys = [row.session_key for row in rows.iterator() if row.get_decoded().get(SESSION_KEY) == key]
    for session_key in keys:
        store(session_key).delete()  # out of a cache in front of the database, too
    return len(keys)


def withdraw_links(sender: type[User], instance: User, **kwargs: Any) -> None:
    """A receiver of the signal for saved users: links of one who was deactivated stay dead, whatever happens later."""
    if not instance.is_active:
        Invitation.objects.withdraw(instance)
