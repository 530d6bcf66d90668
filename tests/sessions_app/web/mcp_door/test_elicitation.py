"""What a person did with a form, as the answer to a question."""

from __future__ import annotations

import pytest

from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.web.mcp_door.elicitation import answer_of, form


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ({"action": "accept", "content": {"approved": True}}, {"confirmed": True}),
        ({"action": "accept", "content": {"approved": True, "reason": " "}}, {"confirmed": True}),
        ({"action": "accept", "content": {"approved": False, "reason": "no"}}, {"confirmed": False, "reason": "no"}),
        ({"action": "decline"}, {"confirmed": False}),
        ({"action": "cancel", "content": None}, {"confirmed": False}),
    ],
)
def test_answers(told, answer):
    assert answer_of(told) == answer


@pytest.mark.parametrize(
    "told",
    [
        {},
        None,
        "yes",
        {"action": "accept"},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"approved": "true"}},
        {"action": "accept", "content": {"approved": 1}},
        {"action": "agree", "content": {"approved": True}},
    ],
)
def test_what_is_not_clearly_a_yes_or_a_no_is_refused(told):
    with pytest.raises(ProtocolError) as refused:
        answer_of(told)
    assert refused.value.code == ErrorCode.BAD_FIELD


def test_a_field_that_may_stay_empty_has_a_value_for_clients_that_send_them_all():
    shown = form()
    for name, about in shown["properties"].items():
        assert name in shown["required"] or about["default"] == "", "null would fit no form"
