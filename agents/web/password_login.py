"""Names and passwords: checked one at a time, slowed and refused after failures, and written down. It blocks."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import auth
from django.contrib.auth import get_user_model
from django.db import close_old_connections, connection
from django.http import HttpRequest

from agents.access import brakes
from agents.access.brakes import Attempt, Counter
from agents.access.password_line import LineIsFull, line
from agents.addresses import visitor_network
from agents.models import KnownPlace
from agents.web import login_audit
from agents.web.known_browser import known_browser

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("myagent.access")

BUSY_SECONDS = 5
"""When somebody should try again for whom the line was too long."""


class TooManyFailures(Exception):
    """Refused unseen; `seconds` is when to try again."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"try again in {seconds} s")


@dataclass(frozen=True)
class WrongPassword(Exception):
    """The name or the password is wrong; the answer should be `delay` seconds late."""

    delay: float


def address_of(request: HttpRequest) -> str:
    """The address of the client; the middleware has seen to trusted proxies."""
    return str(request.META.get("REMOTE_ADDR") or "")


def log_in(request: HttpRequest, name: str, password: str) -> User:
    """Log in with a name and a password. Raises `TooManyFailures`, `WrongPassword`."""
    address = address_of(request)
    attempt = Attempt.of(name, address, known_browser(request, name))
    _refuse_if_too_many(attempt.counters)
    try:
        without_connection()
        with line.turn(attempt.rank):
            _refuse_if_too_many(attempt.counters)  # again, as others have failed meanwhile
            user = auth.authenticate(request, username=name, password=password)
            delay = 0.0 if user is not None else _note_failure(attempt, address)
    except LineIsFull as error:
        raise TooManyFailures(BUSY_SECONDS) from error
    if user is None:
        raise WrongPassword(delay)
    begin(request, user, login_audit.by_password(address))
    return user


def begin(request: HttpRequest, user: User, words: str) -> None:
    """Begin a browser session of `user`, who has shown that it is theirs; `words` are for the audit log."""
    # Django gives the session another key, so that nobody knows it who has seen the one before.
    auth.login(request, user, backend=getattr(user, "backend", None) or "django.contrib.auth.backends.ModelBackend")
    KnownPlace.objects.note(user, visitor_network(address_of(request)))
    login_audit.note(user, words)
    logger.info("%s has logged in from %s.", user.get_username(), address_of(request))


def is_own_password(user: User, password: str) -> bool:
    """Whether it is the password of `user`, who is logged in. Raises `TooManyFailures`."""
    counters = [Counter(brake=brakes.OWN_PASSWORD, subject=str(user.pk))]
    _refuse_if_too_many(counters)
    try:
        without_connection()
        with line.turn(0):
            _refuse_if_too_many(counters)
            is_right = user.check_password(password)
            if not is_right:
                brakes.note_failure(counters)
    except LineIsFull as error:
        raise TooManyFailures(BUSY_SECONDS) from error
    return is_right


def without_connection() -> None:
    """Give the connection to PostgreSQL back before a wait: the pool has few, and all others need them."""
    if not connection.in_atomic_block:
        close_old_connections()


def _refuse_if_too_many(counters: tuple[Counter, ...] | list[Counter]) -> None:
    if seconds := brakes.refused_for(counters):
        raise TooManyFailures(seconds)


def _note_failure(attempt: Attempt, address: str) -> float:
    delay = brakes.note_failure(attempt.counters)
    kind = get_user_model()
    user = kind._default_manager.filter(**{kind.USERNAME_FIELD: attempt.name}).first()
    # The name only where there is such a user: what else people type there may be a password.
    who = repr(user.get_username()) if user is not None else "an unknown name"
    refused = brakes.refused_for(attempt.counters)
    until = f" Further ones are refused for {refused} s." if refused else ""
    logger.warning("A wrong password for %s from %s.%s", who, address, until)
    login_audit.note_failure(attempt, user, address)
    return delay
