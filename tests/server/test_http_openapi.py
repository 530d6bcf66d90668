"""The OpenAPI document: served, valid, about all that there is, and kept to, whatever is sent."""

from __future__ import annotations

import http.client
import json
from contextlib import closing, suppress

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from sessions_app.web import api_urls
from sessions_app.web.api_operations import OPERATIONS, routes
from sessions_app.web.openapi import document
from tests.support.patience import WAIT_SECONDS

SERVER = {"files": ("tools.py",), "settings": {"USER_REQUESTS_PER_SECOND": None}, "options": ("--language", "en")}
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
EXAMPLES = 40


def test_it_is_valid_and_names_every_operation():
    OpenAPIV31SpecValidator(document()).validate()
    described = [(method, path) for path, item in document()["paths"].items() for method in item]
    assert len(described) == len(OPERATIONS) == len({operation["operationId"] for operation in operations()})
    further = sum(len(operation.also_at) for operation in OPERATIONS)
    assert 2 * len({operation.path for operation in OPERATIONS}) + further == len(routes())
    documents = 2 * 2
    assert len(api_urls.urlpatterns) == len(routes()) + documents, "nothing is served beside them"
    for operation in operations():
        assert operation["summary"] and {"401", "429", "503"} <= operation["responses"].keys()


def test_generators_of_clients_find_a_kind_that_they_know():
    """They take the first one of an answer that they can read, and leave out what has none."""
    firsts = {
        operation["operationId"]: next(iter(answer["content"].items()))
        for operation in operations()
        for status, answer in operation["responses"].items()
        if status.startswith("2") and "content" in answer
    }
    kinds = {kind for kind, _about in firsts.values()}
    assert kinds == {"application/json", "text/event-stream", "application/octet-stream"}
    assert firsts["read_events"][0] == "application/json", "what it answers unless it is asked for another"
    assert firsts["download"][1]["schema"] == {"type": "string", "format": "binary"}


def operations():
    return [operation for item in document()["paths"].values() for operation in item.values()]


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/openapi.json/"])
def test_it_is_served(server, path):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        served = json.loads(answer.read())
    assert (answer.status, served.pop("servers")) == (200, [{"url": "/"}])
    assert served == json.loads(json.dumps(document()))


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_server_keeps_to_it(server, mode):
    """What fits to the document, and what does not, for each operation, in a session that there is and in others."""
    base, tried = f"http://127.0.0.1:{server.port}", []
    for operation in sorted(OPENAPI, key=lambda one: one.path.endswith("/close")):
        session_id = requests.post(f"{base}/api/sessions", timeout=WAIT_SECONDS).json()["session_id"]
        with suppress(Unsatisfiable):  # there is nothing that does not fit
            keeps_to_it(base, operation, mode, session_id)
            tried.append(operation.path)
    assert len(tried) > 8
    assert "Traceback" not in server.log


def keeps_to_it(base, operation, mode, session_id):
    checks = CHECKS.get_by_names(CHECKED)

    @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(mode), st.booleans())
    def answers(case, is_there):
        if is_there:
            case.path_parameters |= what_is_there(operation, session_id)
            if "threadId" in (case.query or {}):
                case.query["threadId"] = session_id
        case.validate_response(case.call(base_url=base, timeout=WAIT_SECONDS), checks=checks)

    answers()


def what_is_there(operation, session_id):
    """For the names in its address."""
    if operation.method == "delete":
        return {}
    there = {"session_id": session_id, "chat_id": session_id, "agent": "tools"}
    return {name: value for name, value in there.items() if f"{{{name}}}" in operation.path}


OPENAPI = [found.ok() for found in schemathesis.openapi.from_dict(document()).get_all_operations()]
