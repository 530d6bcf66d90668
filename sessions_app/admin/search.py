"""Search in messages. There is no index for it: each word is one pass over the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

WORDS_AT_MOST = 6
"""The rest of a longer term is searched for as one phrase, because each word costs a pass."""
MANY = 10_000
"""Up to this number, the keys that were found are sent back in the next query; more are searched for again."""


def contains(column: str, word: str) -> Q:
    """Whether a column contains `word`, case-insensitively."""
    if connection.vendor == "postgresql":
        # Half the time of the UPPER(…) LIKE UPPER(…) that `icontains` becomes, and an index of trigrams serves it.
        return Q(**{f"{column}__iregex": re.escape(word)})
    return Q(**{f"{column}__icontains": word})


def narrow(queryset: QuerySet[Any], term: str, hits: Callable[[str], Sequence[QuerySet[Any]]]) -> QuerySet[Any]:
    """The rows that match every word of `term`; `hits` returns queries for the keys of those that match one word.

    These are asked once, and not with each query of the list: a search that cannot use an index, inside of another
    statement, is not even shared out among PostgreSQL's workers.
    """
    known: set[Any] | None = None
    for word in term.split(maxsplit=WORDS_AT_MOST - 1):
        sources = [rows.order_by().distinct() for rows in hits(word)]
        keys = {key for rows in sources for key in rows[: MANY + 1]}
        if len(keys) > MANY:
            queryset = queryset.filter(reduce(or_, (Q(pk__in=rows) for rows in sources)))
        elif not (known := keys if known is None else known & keys):
            break
    return queryset if known is None else queryset.filter(pk__in=known)
