"""What a list in the admin is narrowed to, in words."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList

register = template.Library()


@register.filter
def chosen_filters(changelist: ChangeList) -> list[tuple[Any, Any]]:
    """Title and choice of each filter that is in effect; the first choice of every filter is "All"."""
    chosen = []
    for spec in changelist.filter_specs:
        _all, *choices = spec.choices(changelist)
        chosen += [(spec.title, choice["display"]) for choice in choices if choice["selected"]]
    return chosen
