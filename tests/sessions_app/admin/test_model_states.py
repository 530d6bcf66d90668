"""An agent's page says which of its models answer, where it has several."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.loading.registry import LoadedAgent, Registry, set_registry
from agents.models import HostedAgent
from myagent import create_react_agent
from myagent.testing import ScriptedLLM
from tests.support.entries import database

pytestmark = database


@pytest.fixture
def page():
    """What the page of an agent with these models shows."""
    boss = Client(headers={"accept-language": "en"})
    boss.force_login(User.objects.create_superuser("boss"))
    before = set_registry(Registry())

    def page(*models):
        agent = create_react_agent(name="clock", llm=list(models))
        set_registry(Registry([LoadedAgent(agent=agent, source="clock.py", loaded_at=timezone.now())]))
        row, _made = HostedAgent.objects.get_or_create(name="clock", source="clock.py")

        def read():
            return boss.get(reverse("admin:agents_hostedagent_change", args=[row.pk])).content.decode()

        return agent, read

    yield page
    set_registry(before)


def test_which_models_answer(page):
    agent, read = page(ScriptedLLM(model="first<b>"), ScriptedLLM(model="second"))
    assert read().count(">available<") == 2
    agent.llm.breakers[0].failed()
    shown = read()
    assert shown.count(">available<") == 1 and "has not answered since" in shown
    assert "first&lt;b&gt;" in shown and "first<b>" not in shown
    agent.llm.breakers[0].answered()
    assert read().count(">available<") == 2


def test_one_model_has_no_row(page):
    _agent, read = page(ScriptedLLM(model="only"))
    assert "Models now" not in read()
