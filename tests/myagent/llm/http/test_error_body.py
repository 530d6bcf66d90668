import pytest

from myagent.llm.http.error_body import is_error, read_body, read_error


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}, "c t p", "no"),
        ([{"error": {"code": 400, "message": "no", "status": "S"}}], "400 S", "no"),
        ({"error": "text"}, "", "text"),
        ({"error": "Bad Request", "message": "no"}, "", "no"),
        ({"errors": [{"code": 7, "message": "no"}], "messages": [], "result": None}, "7", "no"),
        ({"errors": ["first", "second"]}, "", "first"),
        ({"base_resp": {"status_code": 1008, "status_msg": "no"}}, "1008", "no"),
        ({"code": "Arrearage", "msg": "no"}, "Arrearage", "no"),
        ({"error_code": 17, "error_msg": "no"}, "17", "no"),
        ({"error_type": "t", "error_message": "no"}, "t", "no"),
        ({"Response": {"Error": {"Code": "C", "Message": "no"}}}, "C", "no"),
        ({"fault": {"faultstring": "no", "detail": {"errorcode": "x"}}}, "", "no"),
        ({"type": "about:blank", "title": "Bad", "status": 400, "detail": "no"}, "about:blank 400", "no"),
        ({"detail": [{"msg": "no", "loc": ["body", 3], "type": "t"}]}, "t", "no (body.3)"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "?", "message": "no"}}}, "", "no"),
        ({"error": True, "message": "no"}, "", "no"),
        ("plain", "", "plain"),
        (None, "", ""),
        ({}, "", ""),
        (7, "", ""),
    ],
)
def test_shapes(body, kind, words):
    found = read_error(body)
    assert (found.kind, found.words) == (kind, words)


def test_a_body_that_is_no_json():
    assert read_body(b"Bad \xff gateway").words == "Bad \ufffd gateway"
    assert read_body(b'{"msg": "no"}').words == "no"


def test_a_body_that_contains_itself_often_is_read_to_a_depth():
    body: object = {"message": "deep"}
    for _ in range(1000):
        body = {"error": body}
    assert read_error(body).words == ""


@pytest.mark.parametrize(
    ("chunk", "error"),
    [
        ({"error": {"message": "no"}}, True),
        ({"object": "error", "message": "no"}, True),
        ({"code": 1113, "msg": "no", "success": False}, True),
        ({"code": 500, "message": "no"}, True),
        ({"message": "no"}, True),
        ({"detail": "no"}, True),
        ({"base_resp": {"status_code": 1004, "status_msg": "no"}, "choices": None}, True),
        ({"id": "x", "object": "chat.completion.chunk", "choices": [], "error": {"code": 503}}, True),
        ({"code": 0, "msg": "ok", "data": {}}, False),
        ({"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []}, False),
        ({"choices": [{"delta": {"content": "x"}}], "base_resp": {"status_code": 0}}, False),
        ({"choices": [{"delta": {"content": "x"}}], "code": 7, "msg": "beside"}, False),
        ({"object": "chat.completion.chunk", "choices": []}, False),
        ({"choices": [], "usage": {"prompt_tokens": 1}}, False),
        ({"type": "ping"}, False),
        ({}, False),
    ],
)
def test_what_is_an_error_with_status_200(chunk, error):
    assert is_error(chunk) is error
