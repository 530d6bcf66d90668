"""Searching what people and models said. There is no index for that: each word is one pass over the messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

WORDS_AT_MOST = 6
"""What comes behind these is looked for as it stands, in one piece: each word costs a pass."""
MANY = 10_000
"""Rows that are found are told to the database again up to this number; more are looked for anew in each query."""


def contains(column: str, word: str) -> Q:
    """Whether a column holds `word`, whatever the case of its letters."""
    if connection.vendor == "postgresql":
        # Half the time of the UPPER(…) LIKE UPPER(…) that `icontains` becomes, and an index of trigrams serves it.
        return Q(**{f"{column}__iregex": re.escape(word)})
    return Q(**{f"{column}__icontains": word})


def narrow(queryset: QuerySet[Any], term: str, hits: Callable[[str], Sequence[QuerySet[Any]]]) -> QuerySet[Any]:
    """The rows that are found for every word of `term`; `hits` gives queries for the keys of those with a word.

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
