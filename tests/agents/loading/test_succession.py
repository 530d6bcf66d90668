from __future__ import annotations

import pytest

from agents.loading.agent_file_errors import AgentFileError, NoAgentLoaded
from agents.loading.hosted_rows import sync_hosted_agents
from agents.loading.registry import Registry
from agents.loading.succession import load_successors
from agents.models import HostedAgent
from myagent.i18n import gettext

pytestmark = pytest.mark.django_db(transaction=True)

FINE = "from myagent import create_react_agent\nagent = create_react_agent(name='{0}', tools=[])\n"


@pytest.fixture
def files(tmp_path):
    """Two that are fine and two that are not."""
    texts = {
        "s_one.py": FINE.format("s_one"),
        "s_two.py": FINE.format("s_two"),
        "s_new.py": "1 / 0",
        "s_never.py": "1 / 0",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return [str(tmp_path / name) for name in texts]


def test_only_what_failed_before_may_fail(files):
    before = Registry.from_sources(files)
    sync_hosted_agents(before)
    assert [failed.source for failed in before.failures] == files[2:]
    assert load_successors(files, known_failures=files[2:]).all_names == ("s_one", "s_two")

    with pytest.raises(AgentFileError, match="s_new.py"):
        load_successors(files, known_failures=files[3:])
    errors = dict(HostedAgent.objects.values_list("source", "error"))
    goes_on = gettext("The version loaded before stays in use.")
    assert {source for source, error in errors.items() if goes_on in error} == {files[2]}

    with pytest.raises(NoAgentLoaded) as several:
        load_successors(files, known_failures=[])
    assert len(several.value.errors) == 2


def test_without_any_agent_there_is_nothing_to_serve(files):
    with pytest.raises(AgentFileError):
        load_successors(files[2:], known_failures=files)
