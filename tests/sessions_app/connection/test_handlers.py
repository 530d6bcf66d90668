"""Every request of the protocol has a function, and a missing one is found when the server starts."""

from types import ModuleType

import pytest

from myagent.protocol import client_events as events
from myagent.protocol.codec import CLIENT_EVENT_CLASSES
from sessions_app.connection import consumer, handlers, requests, state_requests


def test_the_consumer_has_a_handler_for_every_request():
    assert consumer.HANDLERS.keys() == set(CLIENT_EVENT_CLASSES)
    assert consumer.HANDLERS[events.UserCancel] is requests.cancel
    assert consumer.HANDLERS[events.UserRequestState] is state_requests.request_state


def test_a_request_without_a_handler_is_found_at_once():
    with pytest.raises(NotImplementedError) as error:
        handlers.table(requests)
    assert "UserReconnectWithState, UserRequestState" in str(error.value)
    assert "UserCancel" not in str(error.value)
    with pytest.raises(NotImplementedError):
        handlers.table(requests, ModuleType("sessions_app.connection.nothing"))


def test_a_request_has_one_handler():
    with pytest.raises(ValueError, match=r"UserCancel has a handler already, in sessions_app\.connection\.requests\."):

        @handlers.handles(events.UserCancel)
        async def another(engine, requester, event):
            raise AssertionError

    assert consumer.HANDLERS[events.UserCancel] is requests.cancel
