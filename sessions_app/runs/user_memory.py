"""What an agent remembers of one user, for the code of tools and hooks, which is on other threads than the server's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any, TypeVar

from django.db import IntegrityError, transaction

from agents.database.named_locks import lock_names
from agents.database.threads import in_thread_patiently
from myagent.exceptions import ToolFailed
from myagent.i18n import gettext as _
from myagent.text import clean
from sessions_app.models import Memory

MOST = 200
"""Things that one agent may remember of one user."""
LONGEST_KEY = 200
LONGEST_TEXT = 4_000
T = TypeVar("T")


class UserMemory(MutableMapping[str, str]):
    """The rows of one user and agent as a mapping. It asks the database each time, so that runs see each other's.

    Made on the server's loop; all methods block, and must not be called there.
    """

    def __init__(self, user_id: int, agent: str) -> None:
        self._mine: dict[str, Any] = {"user_id": user_id, "agent": agent}
        self._loop = asyncio.get_running_loop()

    def __getitem__(self, key: str) -> str:
        return self._all()[key]

    def __setitem__(self, key: str, text: str) -> None:
        self._ask(lambda: self._keep(clean(key), clean(text)))

    def __delitem__(self, key: str) -> None:
        if key not in self._all():
            raise KeyError(key)
        self._ask(lambda: Memory.objects.filter(**self._mine, key=key).delete())

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    # Each of these with one query, and not with one for each key.

    def items(self) -> ItemsView[str, str]:
        return self._all().items()

    def values(self) -> ValuesView[str]:
        return self._all().values()

    def clear(self) -> None:
        self._ask(lambda: Memory.objects.filter(**self._mine).delete())

    def __repr__(self) -> str:
        return f"UserMemory(user={self._mine['user_id']}, agent={self._mine['agent']!r})"

    def _all(self) -> dict[str, str]:
        rows = Memory.objects.filter(**self._mine).order_by("pk").values_list("key", "text")
        return self._ask(lambda: dict(rows.all()))

    def _ask(self, query: Callable[[], T]) -> T:
        # It may be made twice, which changes nothing: each change says what is true afterwards. While the database is
        # away this waits for as long as the tool may take.
        return asyncio.run_coroutine_threadsafe(in_thread_patiently(query), self._loop).result()

    def _keep(self, key: str, text: str) -> None:
        if not key.strip() or len(key) > LONGEST_KEY or len(text) > LONGEST_TEXT:
            words = _("What is remembered has a name of at most %(key)d characters, and a text of at most %(text)d.")
            raise ToolFailed(words % {"key": LONGEST_KEY, "text": LONGEST_TEXT})
        try:
            with transaction.atomic():
                # No two processes count at the same time. A lock on the user's row could deadlock with its deletion.
                lock_names([f"myagent.memory:{self._mine['user_id']}:{self._mine['agent']}"])
                mine = Memory.objects.filter(**self._mine)
                if not mine.filter(key=key).exists() and mine.count() >= MOST:
                    words = _("No more than %(most)d things are remembered. Forget one first.")
                    raise ToolFailed(words % {"most": MOST})
                Memory.objects.update_or_create(**self._mine, key=key, defaults={"text": text})
        except IntegrityError as error:
            # A run may outlive its user for a moment.
            raise ToolFailed(_("The user does not exist any more.")) from error
