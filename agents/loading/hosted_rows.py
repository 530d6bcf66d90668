"""What the database knows of the agents that are served, and what operators decided about them there."""

from __future__ import annotations

import logging
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import CharField, Q

from agents.conf import get_config
from agents.loading.loader import is_module_name
from agents.loading.model_choice import model_name
from agents.loading.registry import AgentLimits, FailedAgent, LoadedAgent, Registry
from agents.models import HostedAgent
from myagent.agent import Agent
from myagent.i18n import gettext as _
from myagent.loop.run_limits import Ceilings
from myagent.text import clean, clean_value

logger = logging.getLogger("myagent.agents")

_LONGEST = {field.name: field.max_length or 0 for field in HostedAgent._meta.fields if isinstance(field, CharField)}

_CEILINGS = tuple(item.name for item in fields(Ceilings))
"""The columns of what an operator allows each run of an agent."""


def sync_hosted_agents(registry: Registry) -> None:
    """Note in the database what this process has loaded and what it could not, and learn what operators decided.

    For the start of a process: here an agent without a row is a new one.
    """
    for loaded in registry:
        note_loaded(loaded, is_new=True)
    for failed in registry.failures:
        note_failed(failed, is_new=True)
    note_default(registry)
    learn_decisions(registry)


def note_loaded(loaded: LoadedAgent, *, answers: datetime | None = None, is_new: bool = False) -> HostedAgent:
    """Note what was loaded; returns its row, which is switched off if it had to be made and the agent is not new.

    An error that is newer than the request which this `answers` is another process's.
    """
    columns = _description(loaded)
    with transaction.atomic():
        _name_unnamed(loaded)
        row, is_made = HostedAgent.objects.update_or_create(
            name=loaded.name, defaults=columns, create_defaults=columns | {"enabled": is_new}
        )
        its_error = HostedAgent.objects.filter(pk=row.pk)
        if answers is not None:
            its_error = its_error.exclude(failed_at__gte=answers)
        its_error.update(failed_at=None, error="")
    if is_made and not is_new:
        _warn_of_remade(row)
    return row


def note_failed(failed: FailedAgent, *, goes_on: bool = False, is_new: bool = False) -> None:
    """Note why a source could not be loaded; `goes_on` tells that what it gave before is still served.

    A row that has to be made is switched off unless the source `is_new`.
    """
    error = clean(str(failed.error))
    if goes_on:
        error += "\n\n" + _("The version loaded before stays in use.")
    columns: dict[str, Any] = {"failed_at": failed.failed_at, "error": error}
    source = _short("source", failed.source)
    with transaction.atomic():
        if HostedAgent.objects.filter(source=source).update(**columns):
            return
        columns |= {"source": source, "enabled": is_new}
        row, is_made = HostedAgent.objects.get_or_create(name=_free_name(failed.source), defaults=columns)
    if is_made and not is_new:
        _warn_of_remade(row)


def note_blocking(agent: str, tool: str, place: str) -> None:
    """Note that a tool blocks its loop again and again, at this file and line."""
    with transaction.atomic():
        row = HostedAgent.objects.select_for_update().filter(name=agent).first()
        if row is not None:
            row.blocking[tool] = place
            row.save(update_fields=["blocking"])


def _warn_of_remade(row: HostedAgent) -> None:
    """Say that it is off: deleting the row does not mean that everybody may use the agent, perhaps the opposite."""
    logger.warning(
        "The row of the agent %s was deleted, with its groups and limits. It was recreated and is switched off. Decide "
        "about it in the admin, and switch it on there or with: manage.py agents enable %s",
        *(row.name, row.name),
    )


def note_default(registry: Registry) -> None:
    """Note which agent is this server's default."""
    mine = HostedAgent.objects.filter(name__in=[loaded.name for loaded in registry])
    default = registry.default.name if registry.default is not None else None
    mine.exclude(name=default).filter(is_default=True).update(is_default=False)
    mine.filter(name=default, is_default=False).update(is_default=True)


def learn_decisions(registry: Registry) -> dict[str, datetime]:
    """Learn which agents are off, and their limits; returns when a reload of each source was last requested.

    One query, unless rows were deleted.
    """
    served = list(registry)  # what is added meanwhile is noted by what adds it
    names = [loaded.name for loaded in served]
    failed = {_short("source", failure.source): failure.source for failure in registry.failures}
    rows = HostedAgent.objects.filter(Q(name__in=names) | Q(source__in=failed))
    disabled: list[str] = []
    limits: dict[str, AgentLimits] = {}
    requests: dict[str, datetime] = {}
    for row in rows.only("name", "source", "enabled", "max_runs", *_CEILINGS, "reload_requested_at"):
        loaded = registry.get(row.name)
        if not row.enabled:
            disabled.append(row.name)
        limits[row.name] = AgentLimits(
            max_runs=row.max_runs, of_run=Ceilings(**{name: getattr(row, name) for name in _CEILINGS})
        )
        source = loaded.source if loaded is not None else failed.get(row.source)
        if source is not None and row.reload_requested_at is not None:
            requests[source] = row.reload_requested_at
    # Somebody deleted the rows of these, and could not decide about them any more.
    remade = [note_loaded(loaded) for loaded in served if loaded.name not in limits]
    registry.set_disabled([*disabled, *(row.name for row in remade if not row.enabled)])
    registry.set_limits(limits)
    return requests


def tool_facts(agent: Agent) -> list[dict[str, Any]]:
    """Name, description and parameters (a JSON schema) of an agent's tools, as models see them."""
    return [clean_value(tool.schema()["function"]) for tool in agent.tools]


def _description(loaded: LoadedAgent) -> dict[str, Any]:
    agent = loaded.agent
    return {
        "description": clean(agent.description),
        "source": _short("source", loaded.source),
        "tools": tool_facts(agent),
        "dynamic_tools": agent.tools.function is not None,
        "model": _short("model", model_name(agent, get_config())),
        "loaded_at": loaded.loaded_at,
        "blocking": {},
    }


# --- sources that could never be loaded have a row, too, and no name yet ---


def _name_unnamed(loaded: LoadedAgent) -> None:
    """Let the row of a source that could not be loaded until now have the agent's name, with what was decided there."""
    unnamed = HostedAgent.objects.filter(source=_short("source", loaded.source), loaded_at=None)
    unnamed = unnamed.exclude(name=loaded.name)
    if (row := unnamed.first()) is not None and not HostedAgent.objects.filter(name=loaded.name).exists():
        row.name = loaded.name
        row.save(update_fields=["name"])
    unnamed.delete()


def _free_name(source: str) -> str:
    """What stands for the name of an agent that is not known yet: that of its file, or of its module."""
    name = source if is_module_name(source) else Path(source).expanduser().resolve().name
    name = _short("name", name)
    taken = set(HostedAgent.objects.values_list("name", flat=True))
    number = 1
    while (free := name if number == 1 else f"{name[: _LONGEST['name'] - 6]} ({number})") in taken:
        number += 1
    return free


def _short(column: str, text: str) -> str:
    return clean(str(text))[: _LONGEST[column]]
