"""The programs of docs/http.md, each run as it stands there against a real server; some over a broken connection."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from http import HTTPStatus

import pytest

from agents.web.api_errors import STATUS, ApiRefused
from myagent.protocol.error_codes import ProtocolError
from sessions_app.web.api_operations import OPERATIONS
from tests.docs.test_clients import (
    answers_over_a_broken_connection,
    as_parameters,
    clients,
    prints_what_the_page_says,
    running,
    shop,  # noqa: F401 - fixture
    shop_with_model,  # noqa: F401 - fixture
)
from tests.support.markdown import blocks
from tests.support.paths import ROOT

PAGE = "docs/http.md"
FOUND = clients(PAGE)


def test_every_program_of_the_page_is_run():
    marked = [block for block in blocks(PAGE) if block.mark.startswith("client: ")]
    assert marked == [block for block, _printed in FOUND]
    assert [block.language for block in marked] == ["bash", "python", "javascript"]


@pytest.mark.parametrize(("block", "printed"), as_parameters(FOUND))
def test_a_program_prints_what_the_page_says(shop, block, printed):  # noqa: F811
    prints_what_the_page_says(shop, block, printed)


@pytest.mark.parametrize(
    ("block", "printed"), as_parameters([found for found in FOUND if found[0].mark.endswith(", cut")])
)
def test_a_program_prints_the_same_over_a_broken_connection(shop_with_model, model, block, printed):  # noqa: F811
    answers_over_a_broken_connection(shop_with_model, model, block, printed)


def test_a_session_is_watched_live(shop):  # noqa: F811
    (shell,) = [block for block in blocks(PAGE) if block.mark == "client: shell"]
    (watching,) = blocks(PAGE, mark="watches")
    text = f"{shell.text}\nexec {watching.text}"  # in place of the shell, so that killing it ends it
    with running(replace(shell, text=text), shop.port, shop.folder) as process:
        for line in process.stdout:
            if line.startswith("data: ") and "agent.final_answer" in line:
                break
        else:
            pytest.fail("the stream ended without the answer")


@pytest.mark.parametrize("page", [PAGE, "docs/http.zh.md"])
def test_a_refusal_is_as_the_page_shows_it(page):
    (block,) = blocks(page, mark="refused")
    shown = json.loads(block.text)
    error = ProtocolError(shown["code"], shown["message"], **shown["details"])
    assert json.loads(ApiRefused.of(error).answer(None).content) == shown


@pytest.mark.parametrize("page", [PAGE, "docs/http.zh.md"])
def test_the_page_has_each_operation_and_each_code(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for operation in OPERATIONS:
        path = "/api/" + re.sub("(session|chat)_id", "id", operation.path).replace("{", "<").replace("}", ">")
        rows = [row for row in text.splitlines() if row.startswith("| `") and re.search(f" {path}/?`", row)]
        assert any(operation.method in row for row in rows), operation
    rows = {int(status): row for status, row in re.findall(r"^\| (\d{3}) \| (.*) \|$", text, re.MULTILINE)}
    assert {code for code, status in STATUS.items() if f"`{code}`" not in rows[status]} == set()
    assert all(HTTPStatus(status) for status in rows)
