"""Logs of one run each: every kind of event, and how runs end. For what translates them."""

from __future__ import annotations

RUN = "5b0c3f1e-8a4f-4a53-b8a4-6d1e2a9c7e11"
USAGE = {"input_tokens": 4, "output_tokens": 2, "llm_calls": 1, "cached_input_tokens": 1, "model": "m"}
AT = "2026-01-31T12:00:05.000Z"


def frame(event, content="", step_id=None, **metadata):
    named = {} if step_id is None else {"step_id": step_id}
    return {"event": event, "timestamp": AT, **named, "content": content, "metadata": {"run_id": RUN, **metadata}}


def said(words="go", message_id="m-1", run_id=RUN):
    return frame("user.message", words, message_id=message_id, run_id=run_id)


def step(number):
    return frame("agent.thinking", "…", step=number)


def thought(number, *pieces):
    about = [{"step": number, "reasoning": True, "index": index} for index in range(len(pieces))]
    return [frame("agent.thinking", piece, **one) for piece, one in zip(pieces, about, strict=True)]


def pieces(number, *texts, is_whole=True):
    last = len(texts) - 1
    about = [{"step": number, "index": at, "is_final": is_whole and at == last} for at in range(len(texts))]
    return [frame("agent.partial_answer", text, f"t{number}", **one) for text, one in zip(texts, about, strict=True)]


def call(number, name, **args):
    about = {"tool": "add", "args": args, "status": "running", "step": number, "call_id": "c"}
    return frame("agent.tool_call", "Calling tool: add", name, **about)


def result(name, text="3", status="success", **more):
    return frame("agent.tool_result", text, name, tool="add", status=status, duration_ms=1, **more)


def question(name, of):
    about = {"tool_name": "add", "tool_description": "", "tool_args": {"a": 1}, "requires_confirmation": True}
    return frame("agent.user_confirm", "May I?", name, **about, scope="tool", timeout_seconds=300.0, call_step_id=of)


def answer(name):
    return frame("user.response", {"confirmed": True}, name)


def final(text, **more):
    return frame("agent.final_answer", text, steps=1, duration_ms=9, usage=USAGE, **{"finish": "answer", **more})


LOGS = {
    "text": [said(), step(1), *pieces(1, "a ", "b"), final("a b")],
    "reasoning": [said(), step(1), *thought(1, "x", "y"), *pieces(1, "a"), final("a")],
    "compacted": [said(), step(1), final("all of it")],
    "nothing": [said(), step(1), *pieces(1, ""), final("")],
    "more than the pieces": [said(), step(1), *pieces(1, "a"), final("a b")],
    "other than the pieces": [said(), step(1), *pieces(1, "a"), final("c")],
    "tools": [
        *(said(), step(1), *pieces(1, "Let me see.")),
        *(call(1, "k1", a=1), call(1, "k2", a="ö"), frame("agent.tool_progress", "half", "k2", tool="add", percent=50)),
        *(result("k2"), result("k1", "", "failed", error="no"), step(2), *pieces(2, "done"), final("done")),
    ],
    "a picture": [
        *(said(), step(1), call(1, "k1"), result("k1", images=[{"media_type": "image/png", "data": "aGk="}])),
        *(step(2), *pieces(2, "seen"), final("seen")),
    ],
    "reset": [
        *(said(), step(1), *thought(1, "bad"), *pieces(1, "wro", is_whole=False)),
        *(frame("agent.step_reset", step=1, reason="stream_cut"), *thought(1, "good"), *pieces(1, "right")),
        final("right"),
    ],
    "reset before anything": [
        *(said(), step(1), frame("agent.step_reset", step=1, reason="fallback", model="m", model_number=1)),
        *(*pieces(1, "ok"), final("ok")),
    ],
    "restart in the second step": [
        *(said(), step(1), call(1, "k1"), result("k1", status="unknown"), step(2), *pieces(2, "wro", is_whole=False)),
        *(frame("agent.step_reset", step=2, reason="restart"), step(2), *pieces(2, "right"), final("right")),
    ],
    "questions": [
        *(said(), step(1), call(1, "k1"), call(1, "k2"), question("q1", "k1"), question("q2", "k2"), answer("q1")),
        *(
            result("k1"),
            result("k2", "", "declined", error="no answer in time"),
            step(2),
            *pieces(2, "ok"),
            final("ok"),
        ),
    ],
    "terminate": [said(), step(1), *pieces(1, "Well."), call(1, "k1"), result("k1"), final("bye", finish="terminate")],
    "limit": [
        *(said(), step(1), call(1, "k1"), result("k1"), step(2), *pieces(2, "sum")),
        final("sum", finish="limit", limit={"which": "max_steps", "used": 1, "allowed": 1}),
    ],
    "refused": [said(), final("I may not.", finish="refused")],
    "structured": [said(), step(1), final("- a: 1", output={"a": 1})],
    "steered": [
        *(said(), step(1), call(1, "k1"), result("k1"), said("in Fahrenheit", "m-2"), step(2)),
        *(*pieces(2, "ok"), final("ok")),
    ],
    "cancelled": [
        *(said(), step(1), *pieces(1, "a", is_whole=False)),
        frame("agent.interrupted", "The run was cancelled.", reason="user"),
    ],
    "failed": [said(), step(1), *thought(1, "x"), frame("agent.error", "No model.", code="llm_not_configured")],
    "files": [
        said(
            [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "/api/files/1"}},
                {"type": "file", "file": {"file_id": "f", "name": "a.txt", "type": "text/plain"}},
            ]
        ),
        *(step(1), *pieces(1, "seen"), final("seen")),
    ],
}
