"""The models of an agent that has several, and which of them answer, as far as this process knows."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agents.conf import get_config
from agents.loading.model_choice import llm_of
from agents.loading.registry import get_registry
from myagent.llm.breaker import Breaker
from myagent.llm.fallback import FallbackLLM
from sessions_app.admin.show import moment


def model_states(agent: str) -> SafeString:
    """A line for each model in their order; empty for an agent that has one, or is not loaded here."""
    loaded = get_registry().get(agent)
    llm = llm_of(loaded.agent, get_config()) if loaded is not None else None
    if not isinstance(llm, FallbackLLM):
        return SafeString()
    return format_html_join("", '<div>{} <span class="badge badge-{}">{}</span></div>', _states(llm.breakers))


def _states(breakers: list[Breaker]) -> Iterator[tuple[str, str, str]]:
    for breaker in breakers:
        since = breaker.away_since  # read once: another thread may close it
        name = f"{breaker.model} ({breaker.place})" if breaker.place else breaker.model
        if since is None:
            yield name, "ok", _("available")
        else:
            yield name, "failed", _("has not answered since %(moment)s") % {"moment": moment(since)}
