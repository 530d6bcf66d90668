"""Files at the real server: attached, seen by model and tools, handed out to whoever may, and refused in words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
from urllib.parse import unquote

import pytest

from myagent.client import RequestRefused
from tests.conftest import connected
from tests.server.test_login import PASSWORD, Visitor
from tests.support.backstage import Backstage
from tests.support.conversation import ended
from tests.support.file_client import PNG, SVG, ZIP_BOMB, FileClient, form
from tests.support.model_replies import text, tools

SERVER = {
    "files": ("filing.py", "interrupting.py", "words_only.py"),
    "options": ("--allow-anonymous", "--root-path", "/chat"),
    "settings": {
        "GRANTS_SECONDS": 0.1,
        "LIMIT_LOCAL": True,
        "USER_STORED_BYTES": 4_000_000,
        "USER_BYTES_PER_SECOND": 100_000_000,
        "MAX_FILE_BYTES": 1_000_000,
        "MAX_FILES": 150,
    },
}
ISSUE = """
for name in ("ann", "bob", "eve"):
    user = User.objects.create_user(name, password=password)
    result = {**(result or {}), name: AccessToken.objects.issue(user, "flow")[1]}
"""
COUNT = """
from sessions_app.models import FileChunk, SessionFile, StoredFile
result = [kind.objects.count() for kind in (StoredFile, SessionFile, FileChunk)]
"""
LEFT = """
from sessions_app.models import StoredFile
result = [str(pk) for pk in StoredFile.objects.filter(pk__in=ids).values_list("pk", flat=True)]
"""
SIZES = """
from django.db.models import Exists, OuterRef
from sessions_app.files.file_store import storage
from sessions_app.models import SessionFile, StoredFile
own = SessionFile.objects.filter(session=session_id).select_related("file")
lost = StoredFile.objects.filter(~Exists(SessionFile.objects.filter(file=OuterRef("pk"))))
result = [storage().size(row.file.location) for row in own], [row.delete_after is not None for row in lost]
"""

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def backstage(running_server):
    with Backstage(running_server) as backstage:
        yield backstage


@pytest.fixture(scope="module")
def tokens(backstage):
    return backstage.do(ISSUE, password=PASSWORD)


@pytest.fixture
def ann(server, tokens):
    return FileClient.with_token(server, tokens["ann"])


async def run(function, *arguments, **options):
    return await asyncio.to_thread(function, *arguments, **options)


async def session_of(server, token=None, agent="filing"):
    async with connected(server, token=token) as client:
        return await client.create_session(agent=agent)


def picture(file):
    return {"type": "image_url", "image_url": {"url": file["url"]}}


def attached(file):
    return {"type": "file", "file": {"file_id": file["file_id"], "name": file["name"]}}


async def test_what_is_attached_is_seen_by_model_and_tools_and_stored_by_reference(server, model, tokens, ann):
    gbk = "城市,气温\n北京,12".encode("gbk")
    async with connected(server, token=tokens["ann"]) as client:
        session_id = await client.create_session(agent="filing")
        sent = [("点.png", PNG, "image/png"), ("天气.csv", gbk, "text/csv"), ("paper.pdf", b"%PDF-1.7 ...")]
        dot, table, paper = (await run(ann.upload, session_id, *sent)).files
        assert (dot["name"], dot["type"], dot["size"]) == ("点.png", "image/png", len(PNG))
        assert dot["url"] == f"/chat/api/files/{dot['file_id']}"
        assert (table["type"], paper["type"]) == ("text/csv", "application/pdf")
        model.script(tools(("list_files", {})), text("seen"))
        content = [{"type": "text", "text": "What is this?"}, picture(dot), attached(table), attached(paper)]
        accepted = await client.say(session_id, content)
        await client.wait_for(ended(accepted.run_id))
    asked = model.request(1).messages[-1]["content"]
    assert asked[1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_base64(PNG)}"}}
    assert "天气.csv" in asked[2]["text"] and "北京,12" in asked[2]["text"]
    assert "'paper.pdf'" in asked[3]["text"] and "%PDF" not in asked[3]["text"]
    result = json.loads(model.request(2).messages[-1]["content"])
    assert [(file["name"], file["sha256"]) for file in result] == [
        (name, hashlib.sha256(content).hexdigest()) for name, content, *_ in sent
    ]
    log = await whole_log_of(server, session_id, tokens["ann"])
    said = next(frame for frame in log if frame.event == "user.message")
    assert said.content[1]["image_url"]["url"] == dot["url"]
    assert said.content[2]["file"] == {key: table[key] for key in ("file_id", "name", "type", "size")}
    assert len(json.dumps(said.content)) < 2_000, "by reference"
    shown = await run(ann.get, dot["url"])
    assert (shown.status, shown.body, shown.headers["Content-Type"]) == (200, PNG, "image/png")
    assert shown.headers["Content-Disposition"].startswith("inline")
    assert (await run(ann.get, dot["url"], If_None_Match=shown.headers["ETag"])).status == 304
    saved = await run(ann.get, table["url"])
    assert saved.body == gbk and saved.headers["Content-Type"] == "text/plain; charset=gb18030"
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert "天气.csv" in unquote(saved.headers["Content-Disposition"])
    for answer in (shown, saved):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


async def whole_log_of(server, session_id, token):
    async with connected(server, token=token) as client:
        replayed = await client.reconnect(session_id)
        return [await client.wait_for(lambda frame: frame.seq is not None) for _ in range(replayed.count)]


def _base64(content):
    return base64.b64encode(content).decode()


async def test_others_find_nothing_and_what_no_session_has_is_in_no_message(server, tokens, ann):
    session_id = await session_of(server, tokens["ann"])
    (file,) = (await run(ann.upload, session_id, ("a.txt", b"secret"))).files
    eve = FileClient.with_token(server, tokens["eve"])
    missing = "00000000-0000-4000-8000-000000000000"
    for client in (eve, FileClient(server, X_Forwarded_For="192.0.2.1")):
        foreign, none = [await run(client.upload, at, ("b.txt", b"x")) for at in (session_id, missing)]
        assert foreign.refusal == none.refusal == (404, "session_not_found") and foreign.body == none.body
        foreign, none = [await run(client.get, url) for url in (file["url"], f"/api/files/{missing}")]
        assert foreign.refusal == none.refusal == (404, "file_not_found") and foreign.body == none.body
    page = await run(ann.get, file["url"], Origin="https://evil.example", Authorization="")
    assert page.refusal == (403, "bad_origin")
    async with connected(server, token=tokens["eve"]) as client:
        own = await client.create_session(agent="filing")
        stolen = [attached(file), picture(file), picture({"url": "/etc/passwd"}), attached(file | {"file_id": "x"})]
        for part in stolen:
            with pytest.raises(RequestRefused) as refused:
                await client.say(own, [part])
            assert refused.value.code == "file_not_found"


async def test_the_login_cookie_needs_a_token_against_forgery(server, tokens):
    visitor = Visitor(server)
    assert (await run(visitor.log_in))[0] == 302
    session_id = await session_of(server, tokens["ann"])
    browser = FileClient(server, Cookie=visitor.cookie, Origin=visitor.origin)
    assert (await run(browser.upload, session_id, ("a.txt", b"a"))).refusal == (403, "csrf_failed")
    csrf = visitor._cookies["csrftoken"]
    (file,) = (await run(browser.upload, session_id, ("a.txt", b"a"), X_CSRFToken=csrf)).files
    image = FileClient(server, Cookie=visitor.cookie, Sec_Fetch_Site="same-origin")
    assert (await run(image.get, file["url"])).body == b"a"
    foreign = FileClient(server, Cookie=visitor.cookie, Origin="https://evil.example")
    answer = await run(foreign.upload, session_id, ("a.txt", b"a"), X_CSRFToken=csrf)
    assert answer.refusal == (403, "bad_origin")
    path = f"/api/sessions/{session_id}/files/{file['file_id']}"
    assert (await run(browser.ask, "DELETE", path)).refusal == (403, "csrf_failed")
    assert (await run(foreign.ask, "DELETE", path, X_CSRFToken=csrf)).refusal == (403, "bad_origin")
    assert (await run(browser.ask, "DELETE", path, X_CSRFToken=csrf)).status == 204


async def test_what_cannot_be_taken_is_refused_in_words_and_leaves_nothing(server, tokens, ann, backstage):
    session_id = await session_of(server, tokens["ann"])
    before = backstage.do(COUNT)
    lies = ("holiday.png", b"MZ\x90\x00 no picture", "image/png")
    for files, outcome in (
        ([lies], (415, "unsupported_type")),
        ([("fine.txt", b"fine"), ("drawing.png", SVG, "image/png")], (415, "unsupported_type")),
        ([("large.txt", b"x" * 1_000_001)], (413, "too_large")),
        ([], (400, "bad_form")),
    ):
        assert (await run(ann.upload, session_id, *files)).refusal == outcome
    wrong = await run(ann.ask, "POST", f"/api/sessions/{session_id}/files", b"{}", Content_Type="application/json")
    assert wrong.refusal == (400, "bad_form")
    assert (await run(ann.get, f"/api/sessions/{session_id}/files")).refusal == (405, "method_not_allowed")
    toolless, nothing = [await session_of(server, tokens["ann"], agent) for agent in ("interrupting", "words-only")]
    assert (await run(ann.upload, toolless, ("bomb.zip", ZIP_BOMB))).refusal == (415, "unsupported_type")
    for file in (("a.txt", b"a"), ("a.png", PNG)):
        assert (await run(ann.upload, nothing, file)).refusal == (415, "unsupported_type")
    assert backstage.do(COUNT) == before
    async with connected(server, token=tokens["ann"]) as client:
        with pytest.raises(RequestRefused, match="no pictures") as refused:
            await client.say(
                nothing, [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
            )
        assert refused.value.code == "unsupported_type"
    (bomb, drawing) = (await run(ann.upload, session_id, ("bomb.zip", ZIP_BOMB), ("drawing.svg", SVG))).files
    assert (bomb["type"], bomb["size"]) == ("application/octet-stream", len(ZIP_BOMB))
    assert drawing["type"] == "text/plain", "no picture"
    async with connected(server, token=tokens["ann"]) as client:
        with pytest.raises(RequestRefused, match="no picture"):
            await client.say(session_id, [picture(drawing)])
    names = ["../../etc/passwd", "C:\\\\temp\\\\报告.txt", "evil\u202egnp.exe.txt", "a" * 400 + ".txt"]
    told = [file["name"] for file in (await run(ann.upload, session_id, *((name, b"x") for name in names))).files]
    assert told[:3] == ["passwd", "报告.txt", "evilgnp.exe.txt"] and told[3].endswith("a.txt") and len(told[3]) <= 150


async def test_a_file_is_taken_back_before_it_is_sent(server, model, tokens, ann, backstage):
    async with connected(server, token=tokens["ann"]) as client:
        session_id = await client.create_session(agent="filing")
        sent, unsent = (await run(ann.upload, session_id, ("a.txt", b"sent"), ("b.txt", b"unsent"))).files
        model.script(text("seen"))
        await client.wait_for(ended((await client.say(session_id, [attached(sent)])).run_id))
        own = f"/api/sessions/{session_id}/files/"
        eve = FileClient.with_token(server, tokens["eve"])
        nowhere = "/api/sessions/00000000-0000-4000-8000-000000000000/files/"
        foreign, none = [await run(eve.ask, "DELETE", at + unsent["file_id"]) for at in (own, nowhere)]
        assert foreign.refusal == none.refusal == (404, "session_not_found") and foreign.body == none.body
        other = await client.create_session(agent="filing")
        for path in (f"/api/sessions/{other}/files/{unsent['file_id']}", own + other, own + "x"):
            assert (await run(ann.ask, "DELETE", path)).refusal == (404, "file_not_found")
        assert (await run(ann.ask, "DELETE", own + sent["file_id"])).refusal == (409, "file_in_use")
        assert (await run(ann.ask, "POST", own + unsent["file_id"])).refusal == (405, "method_not_allowed")
        asked = await run(ann.ask, "OPTIONS", own + unsent["file_id"], Origin="https://app.example")
        assert asked.headers["Access-Control-Allow-Methods"] == "DELETE, OPTIONS"
        gone = await run(ann.ask, "DELETE", own + unsent["file_id"])
        assert (gone.status, gone.body) == (204, b"")
        assert (await run(ann.get, unsent["url"])).refusal == (404, "file_not_found")
        assert (await run(ann.get, sent["url"])).body == b"sent"
        with pytest.raises(RequestRefused) as refused:
            await client.say(session_id, [attached(unsent)])
        assert refused.value.code == "file_not_found"
    server.manage("prunesessions", "--older-than", "1000d")
    assert backstage.do(LEFT, ids=[sent["file_id"], unsent["file_id"]]) == [sent["file_id"]]


async def test_an_edit_has_the_files_that_were_uploaded_for_it(server, model, tokens, ann):
    async with connected(server, token=tokens["ann"]) as client:
        session_id = await client.create_session(agent="filing")
        model.script(text("first"), text("second"))
        await client.wait_for(ended((await client.say(session_id, "hello", "first")).run_id))
        (file,) = (await run(ann.upload, session_id, ("a.txt", b"for the edit"))).files
        fork_id = await client.fork(session_id, before="first", content=[attached(file)])
        await client.wait_for(lambda frame: frame.session_id == fork_id and frame.ends_run)
        assert "for the edit" in model.request(2).messages[-1]["content"][0]["text"]
        (stolen,) = (await run(ann.upload, await client.create_session(agent="filing"), ("b.txt", b"x"))).files
        with pytest.raises(RequestRefused) as refused:
            await client.fork(session_id, before="first", content=[attached(stolen)])
        assert refused.value.code == "file_not_found"


async def test_a_full_share_takes_nothing_more_and_gets_room_with_the_session(server, tokens, backstage):
    bob = FileClient.with_token(server, tokens["bob"])
    session_id = await session_of(server, tokens["bob"])
    server.manage("prunesessions", "--older-than", "1000d")  # takes away what others left
    before = backstage.do(COUNT)
    full = [await run(bob.upload, session_id, (f"{number}.txt", b"x" * 900_000)) for number in range(4)]
    assert [answer.status for answer in full] == [201] * 4
    held = backstage.do(COUNT)
    over = await run(bob.upload, session_id, ("a.txt", b"a" * 200_000), ("b.txt", b"b" * 300_000))
    assert over.refusal == (409, "over_quota")
    assert backstage.do(COUNT) == held, "nothing of it is left"
    async with connected(server, token=tokens["bob"]) as client:
        await client.delete_session(session_id)
    server.manage("prunesessions", "--older-than", "1000d")
    assert backstage.do(COUNT) == before


async def test_a_hundred_uploads_at_once_are_all_stored_and_others_can_talk(server, tokens, ann, client):
    session_id = await session_of(server, tokens["ann"])
    content = b"line\n" * 4_000
    uploads = [
        asyncio.create_task(run(ann.upload, session_id, (f"{number}.txt", content + str(number).encode())))
        for number in range(100)
    ]
    own = await client.create_session(agent="filing")
    await client.wait_for(ended((await client.say(own, "hello")).run_id))
    files = [answer.files[0] for answer in await asyncio.gather(*uploads)]
    assert len({file["file_id"] for file in files}) == 100
    for file in files[::25]:
        assert (await run(ann.get, file["url"])).body == content + file["name"].removesuffix(".txt").encode()
    more = [(f"{number}.txt", b"x") for number in range(51)]
    assert (await run(ann.upload, session_id, *more)).refusal == (409, "too_many_files")


async def test_uploads_that_break_off_leave_nothing_that_is_seen(server, tokens, ann, backstage):
    session_id = await session_of(server, tokens["ann"])
    kind, body = form(("half.txt", b"x" * 100_000))
    before = backstage.do(COUNT)
    for length in (len(body), len(body) + 50_000, 40_000):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            head = (
                f"POST /api/sessions/{session_id}/files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                f"Authorization: Bearer {tokens['ann']}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
            )
            connection.sendall(head.encode() + body[: 40_000 if length >= len(body) else None])
            if length < len(body):
                assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")
    assert backstage.do(COUNT) == before
    (file,) = (await run(ann.upload, session_id, ("whole.txt", b"whole"))).files
    async with connected(server, token=tokens["ann"]) as client:
        await client.delete_session(session_id)
    assert (await run(ann.get, file["url"])).refusal == (404, "file_not_found")


async def test_a_server_that_is_killed_leaves_whole_files_or_none(server, tokens, ann, backstage):
    session_id = await session_of(server, tokens["ann"])
    uploads = [asyncio.create_task(run(ann.upload, session_id, (f"{n}.txt", b"y" * 300_000))) for n in range(12)]
    done, _ = await asyncio.wait(uploads, return_when=asyncio.FIRST_COMPLETED)
    server.kill()
    answers = [answer for answer in await asyncio.gather(*uploads, return_exceptions=True) if hasattr(answer, "files")]
    await run(server.start)
    seen, unseen = backstage.do(SIZES, session_id=session_id)
    assert all(size == 300_000 for size in seen) and len(seen) >= len(answers) >= len(done)
    for answer in answers:
        assert (await run(ann.get, answer.files[0]["url"])).body == b"y" * 300_000
    assert all(unseen), "found by the next sweep once an hour has passed"
