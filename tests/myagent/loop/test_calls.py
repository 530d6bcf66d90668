"""Tool calls: what can go wrong with one, and what the model, the user and the log get to know of it."""

import asyncio
import threading
from contextlib import aclosing, suppress

import pytest

from myagent import (
    AgentDefinitionError,
    BaseTool,
    Image,
    RetryTool,
    RunContext,
    ToolFailed,
    ToolResult,
    create_react_agent,
    current_run,
    tool,
)
from myagent.events import ModelReplied, RunFinished, ToolFinished, ToolProgress, ToolStarted
from myagent.loop import react
from myagent.loop.calls import MAX_OUTPUT_BYTES
from myagent.loop.host import Decision
from myagent.loop.local_host import LocalHost
from myagent.messages import Message, ToolCall
from myagent.testing import ScriptedLLM, call

pytestmark = pytest.mark.usefixtures("in_english")

PNG = b"\x89PNG\r\n\x1a\n"
SECRET = "password=hunter2"


class Answers(LocalHost):
    """A user who gives these answers, one after the other; `None` is no answer at all."""

    def __init__(self, *decisions):
        super().__init__()
        self.decisions = list(decisions)
        self.requests = []
        self.asked = asyncio.Event()

    async def confirm(self, request):
        self.requests.append(request)
        self.asked.set()
        decision = self.decisions.pop(0)
        if isinstance(decision, asyncio.Future):
            return await decision
        return decision


def session(**state):
    return RunContext(session_id="s", run_id="r", agent="agent", state=state)


async def play(tools, *calls, host=None, context=None, after="ok", **options):
    """One reply that asks for `calls`, then an answer; returns the events and the model."""
    llm = ScriptedLLM([list(calls), after])
    agent = create_react_agent(tools=tools, **options)
    stream = react.run(agent, [Message.user("hi")], host=host or LocalHost(), context=context or session(), llm=llm)
    async with aclosing(stream):
        return [event async for event in stream], llm


def results(events):
    return [event for event in events if isinstance(event, ToolFinished)]


def seen(llm):
    """What the model was told of its calls."""
    return [message.text for message in llm.requests[1].messages if message.role == "tool"]


@tool
def echo(text: str) -> str:
    """Say it again."""
    return text


async def one(tools, asked, **options):
    """The result of one call, and what the model saw of it."""
    events, llm = await play(tools, asked, **options)
    (result,) = results(events)
    (told,) = seen(llm)
    assert isinstance(events[-1], RunFinished)
    return result, told


# --- the course of a call ---


async def test_a_call_that_works():
    result, told = await one([echo], call("echo", text="hello"))
    assert (result.status, result.output, result.error, told) == ("success", "hello", None, "hello")
    assert result.duration_ms >= 0
    assert result.state is None


async def test_calls_run_side_by_side_and_stand_in_the_order_of_the_calls():
    turn = asyncio.Event()

    @tool
    async def first() -> str:
        """Wait for the second."""
        await turn.wait()
        return "first"

    @tool
    async def second() -> str:
        """Let the first go."""
        turn.set()
        return "second"

    events, llm = await play([first, second], call("first"), call("second"))
    assert [result.output for result in results(events)] == ["second", "first"]
    assert seen(llm) == ["first", "second"]
    asked = llm.requests[1].messages[-3]
    assert [item.id for item in asked.tool_calls] == [item.tool_call_id for item in llm.requests[1].messages[-2:]]


async def test_step_ids_are_opaque_and_unique():
    events, _llm = await play([echo], call("echo", text="a"), call("echo", text="b"))
    (replied,) = [event for event in events if isinstance(event, ModelReplied)]
    ids = [requested.step_id for requested in replied.calls]
    assert len(set(ids)) == 2
    assert {result.call.step_id for result in results(events)} == set(ids)


@pytest.mark.parametrize(
    ("asked", "told_of"),
    [
        (call("ecko", text="a"), ["ecko", "echo"]),
        (ToolCall(id="1", name="echo", arguments='{"text": '), ["JSON"]),
        (ToolCall(id="1", name="echo", arguments="[1]"), ["object"]),
        (call("echo"), ["text", "missing"]),
        (call("echo", text="a", volume=11), ["volume"]),
        (call("echo", text=["a"]), ["text"]),
    ],
)
async def test_a_bad_call_goes_back_to_the_model_which_corrects_it(asked, told_of):
    llm = ScriptedLLM([[asked], call("echo", text="now"), "ok"])
    agent = create_react_agent(tools=[echo])
    async with aclosing(react.run(agent, [Message.user("hi")], host=LocalHost(), context=session(), llm=llm)) as stream:
        events = [event async for event in stream]
    bad, good = results(events)
    assert (bad.status, good.status) == ("failed", "success")
    assert bad.call.waits
    (told,) = seen(llm)
    assert told.startswith("Error: ")
    for word in told_of:
        assert word in told
    assert bad.error is not None


async def test_a_bad_call_does_not_keep_the_others_from_running():
    events, llm = await play([echo], call("nothing"), call("echo", text="a"))
    assert sorted(result.status for result in results(events)) == ["failed", "success"]
    assert seen(llm)[1] == "a"


@pytest.mark.parametrize("error", [RetryTool, ToolFailed])
async def test_what_a_tool_says_on_purpose_reaches_the_model(error):
    @tool
    def fails() -> str:
        """Fail."""
        raise error("use the English name\x00")

    result, told = await one([fails], call("fails"))
    assert result.status == "failed"
    assert told == "Error: use the English name\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("is_async", [True, False])
async def test_any_other_exception_is_told_in_neutral_words(is_async, caplog):
    if is_async:

        @tool(name="fails")
        async def fails() -> str:
            """Fail."""
            raise KeyError(SECRET)
    else:

        @tool(name="fails")
        def fails() -> str:
            """Fail."""
            raise KeyError(SECRET)

    result, told = await one([fails], call("fails"))
    assert result.status == "failed"
    assert told == f"Error: {result.error}"
    assert SECRET not in told + result.output + (result.error or "")
    assert "Traceback" not in told
    assert SECRET in caplog.text
    assert "Traceback" in caplog.text


async def test_a_cancel_that_a_tool_raises_itself_is_a_failure():
    @tool
    async def gives_up() -> str:
        """Give up."""
        raise asyncio.CancelledError

    result, told = await one([gives_up], call("gives_up"))
    assert result.status == "failed"
    assert "CancelledError" in told


async def test_an_error_that_a_tool_returns():
    class Fails(BaseTool):
        name = "fails"
        description = "Fails"

        async def execute(self):
            return ToolResult("partly", error="no such city", data={"n": 1})

    result, told = await one([Fails()], call("fails"))
    assert (result.status, result.error, result.data) == ("failed", "no such city", {"n": 1})
    assert told == "Error: no such city"


# --- time ---


async def test_a_tool_over_its_time_limit_is_stopped():
    stopped = []

    class Slow(BaseTool):
        name = "slow"
        description = "Slow"
        timeout = 0.01

        async def execute(self):
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append(True)

    result, told = await one([Slow()], call("slow"))
    assert (result.status, stopped) == ("failed", [True])
    assert "slow took longer than 0.01 s" in told


async def test_a_timeout_of_the_tools_own_is_not_the_limit():
    @tool
    async def impatient() -> str:
        """Lose patience."""
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
        return ""

    _result, told = await one([impatient], call("impatient"))
    assert "longer than" not in told
    assert "TimeoutError" in told


async def test_the_limit_stands_still_while_the_user_thinks(monkeypatch):
    loop, hours = asyncio.get_running_loop(), [0]
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + 3600 * hours[0])
    answers = [loop.create_future(), loop.create_future()]
    host = Answers(*answers)

    @tool
    async def asks(context: RunContext) -> str:
        """Ask."""
        return str(await asyncio.gather(context.confirm("one?"), context.confirm("two?")))

    playing = asyncio.create_task(one([asks], call("asks"), host=host))
    while len(host.requests) < 2:
        await asyncio.sleep(0)
    for answer in answers:
        hours[0] += 1
        for _ in range(10):  # a limit that had not stood still would strike now
            await asyncio.sleep(0)
        answer.set_result(Decision(confirmed=answer is answers[0]))
    result, told = await playing
    assert (result.status, told) == ("success", "[True, False]")
    assert [request.starts_call for request in host.requests] == [False, False]


async def test_after_the_answer_the_limit_goes_on():
    class Asks(BaseTool):
        name = "asks"
        description = "Asks"
        timeout = 0.02

        async def execute(self, context: RunContext):
            await context.confirm("really?")
            await asyncio.Event().wait()

    _result, told = await one([Asks()], call("asks"), host=Answers(Decision(confirmed=True)))
    assert "longer than" in told


async def test_a_question_does_not_outlive_its_call():
    class Leaves(BaseTool):
        name = "leaves"
        description = "Leaves"

        async def execute(self, context: RunContext):
            self.task = asyncio.create_task(context.confirm("anybody?"))
            await host.asked.wait()
            return "gone"

    never = asyncio.get_running_loop().create_future()
    host, leaves = Answers(never), Leaves()
    result, _told = await one([leaves], call("leaves"), host=host)
    assert result.status == "success"
    with suppress(asyncio.CancelledError):
        await leaves.task
    assert leaves.task.cancelled()
    assert never.cancelled()


async def test_a_thread_that_waits_for_an_answer_is_let_go_when_the_run_is_given_up():
    ended = threading.Event()

    @tool
    def asks(context: RunContext) -> str:
        """Ask."""
        try:
            return str(context.confirm_sync("really?"))
        finally:
            ended.set()

    host = Answers(asyncio.get_running_loop().create_future())
    playing = asyncio.create_task(play([asks], call("asks"), host=host))
    await host.asked.wait()
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert await asyncio.to_thread(ended.wait, 10)


async def test_a_plain_tool_can_ask_too():
    @tool
    def asks(context: RunContext) -> str:
        """Ask."""
        return str(context.confirm_sync("really?"))

    _result, told = await one([asks], call("asks"), host=Answers(Decision(confirmed=True)))
    assert told == "True"


MISUSES = {
    "if": lambda answer: "sent" if answer else "kept",
    "not": lambda answer: "kept" if not answer else "sent",
    "and": lambda answer: str(True and (answer or False)),
    "bool": lambda answer: str(bool(answer)),
    "is True": lambda answer: "sent" if answer is True else "kept",
    "never looked at": lambda answer: "sent",
}
"""What tools do with an answer that they did not wait for."""


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("misuse", MISUSES)
async def test_an_answer_that_is_not_awaited_never_means_yes(misuse, is_async, caplog):
    async def send(run: RunContext) -> str:
        """Send."""
        return MISUSES[misuse](run.confirm("Send it?"))

    def send_plain(run: RunContext) -> str:
        """Send."""
        return MISUSES[misuse](run.confirm("Send it?"))

    host = Answers(Decision(confirmed=True))
    result, told = await one([tool(name="send")(send if is_async else send_plain)], call("send"), host=host)
    assert (result.status, host.requests) == ("failed", [])
    assert told == "Error: send failed with an internal error (ConfirmNotAwaited)."
    (record,) = [record for record in caplog.records if record.name == "myagent.tools"]
    assert "The tool 'send' of agent 'agent' failed." in record.message
    (words,) = record.exc_info[1].args
    assert "confirm('Send it?')" in words and "nobody was asked" in words
    assert "`await run.confirm(…)`" in words and "`run.confirm_sync(…)`" in words


async def test_a_tool_that_catches_everything_does_not_hide_a_forgotten_await():
    @tool
    async def careless(run: RunContext) -> str:
        """Ask, and take any exception for a no."""
        try:
            return "sent" if run.confirm("Send it?") else "kept"
        except Exception:  # noqa: BLE001 - what the test is about
            return "kept"

    result, told = await one([careless], call("careless"))
    assert (result.status, "ConfirmNotAwaited" in told) == ("failed", True)


async def test_one_call_does_not_answer_for_the_forgotten_await_of_another():
    @tool
    async def forgetful(run: RunContext) -> str:
        """Ask, and do not wait."""
        run.confirm("Send it?")
        return "sent"

    events, _llm = await play([forgetful, echo], call("forgetful"), call("echo", text="hello"))
    assert {event.call.name: event.status for event in results(events)} == {"forgetful": "failed", "echo": "success"}


WAYS_TO_WAIT = {
    "a variable": lambda run: run.confirm("Send it?"),
    "a time limit": lambda run: asyncio.wait_for(run.confirm("Send it?"), 10),
    "a task": lambda run: asyncio.create_task(run.confirm("Send it?")),
    "current_run": lambda run: current_run().confirm("Send it?"),
}


@pytest.mark.parametrize("way", WAYS_TO_WAIT)
@pytest.mark.parametrize("confirmed", [True, False])
async def test_an_answer_can_be_awaited_as_a_coroutine(way, confirmed):
    @tool
    async def send(run: RunContext) -> str:
        """Send."""
        answer = await WAYS_TO_WAIT[way](run)
        return str(answer is True)

    host = Answers(Decision(confirmed=confirmed))
    result, told = await one([send], call("send"), host=host)
    assert (result.status, told) == ("success", str(confirmed))
    assert [request.question for request in host.requests] == ["Send it?"]


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_plain_tool_may_hand_the_awaitable_back(confirmed):
    @tool
    def asks(run: RunContext):
        """Ask."""
        return run.confirm("really?")

    _result, told = await one([asks], call("asks"), host=Answers(Decision(confirmed=confirmed)))
    assert told == str(confirmed).lower()


async def test_a_question_that_is_cancelled_may_be_caught():
    @tool
    async def impatient(run: RunContext) -> str:
        """Ask, but not for long."""
        try:
            await asyncio.wait_for(run.confirm("anybody?"), 0.01)
        except TimeoutError:
            return "no time"
        return "answered"

    host = Answers(asyncio.get_running_loop().create_future())
    result, told = await one([impatient], call("impatient"), host=host)
    assert (result.status, told) == ("success", "no time")


def test_an_answer_outside_a_call_is_an_error_when_it_is_awaited():
    with pytest.raises(RuntimeError, match="only inside a tool call"):
        asyncio.run(session().confirm("anybody?"))
    unstarted = session().confirm("anybody?")
    unstarted.close()


# --- confirmation before a call ---


class Delete(BaseTool):
    name = "delete"
    description = "Delete a file"
    requires_confirmation = True
    confirm_timeout = 12

    def __init__(self):
        self.deleted = []

    async def execute(self, path: str) -> str:
        self.deleted.append(path)
        return f"deleted {path}"


async def test_nothing_runs_before_a_yes():
    delete = Delete()
    answer = asyncio.get_running_loop().create_future()
    host = Answers(answer)
    playing = asyncio.create_task(play([delete], call("delete", path="a"), host=host))
    await host.asked.wait()
    assert not delete.deleted
    answer.set_result(Decision(confirmed=True))
    events, _llm = await playing
    assert delete.deleted == ["a"]
    (replied,) = [event for event in events if isinstance(event, ModelReplied)]
    (started,) = [event for event in events if isinstance(event, ToolStarted)]
    assert replied.calls[0].waits
    assert (started.call, started.arguments) == (replied.calls[0], {"path": "a"})
    (request,) = host.requests
    assert (request.tool_name, request.tool_description, request.timeout) == ("delete", "Delete a file", 12)
    assert (request.tool_args, request.starts_call) == ({"path": "a"}, True)
    assert request.call_step_id == replied.calls[0].step_id


async def test_a_confirmed_tool_runs_only_after_its_start_was_noted():
    delete = Delete()
    llm = ScriptedLLM([call("delete", path="a"), "ok"])
    agent = create_react_agent(tools=[delete])
    host = Answers(Decision(confirmed=True))
    async with aclosing(react.run(agent, [Message.user("hi")], host=host, context=session(), llm=llm)) as stream:
        async for event in stream:
            if isinstance(event, ToolStarted):
                for _ in range(10):
                    await asyncio.sleep(0)
                assert not delete.deleted
    assert delete.deleted == ["a"]


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (Decision(confirmed=False), "declined"),
        (Decision(confirmed=False, reason="too risky"), "too risky"),
        (Decision(confirmed=False, answered=False), "did not answer"),
    ],
)
async def test_a_no_is_a_result_of_its_own_kind(decision, words):
    delete = Delete()
    result, told = await one([delete], call("delete", path="a"), host=Answers(decision))
    assert (result.status, result.state, delete.deleted) == ("declined", None, [])
    assert words in told


@tool(timeout=0.01)
async def endless() -> str:
    """Never end."""
    return await asyncio.Event().wait()


@tool
async def ratio(part: int, whole: int) -> str:
    """Divide."""
    return str(part / whole)


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (call("delete", path="a"), "declined", "用户拒绝了这次调用。原因：不行"),
        (call("endless"), "failed", "endless 超过了 0.01 秒的时限。"),
        (call("ratio", part=1, whole=0), "failed", "ratio 因内部错误而失败（ZeroDivisionError）。"),
        (call("ratio", part=1), "failed", "ratio 的参数有误：缺少：'whole'。请改正后重新调用。"),
        (call("ratios"), "failed", "没有名为 'ratios' 的工具。可用的有：delete, endless, ratio。"),
    ],
)
async def test_what_became_of_a_call_is_told_in_the_servers_language(monkeypatch, asked, status, said):
    """The model reads it, and so do people, in the terminal and on the page."""
    monkeypatch.setattr("myagent.i18n._language", "zh-hans")
    refuses = Answers(Decision(confirmed=False, reason="不行"))
    result, told = await one([Delete(), endless, ratio], asked, host=refuses)
    assert (result.status, result.error, told) == (status, said, f"Error: {said}")


async def test_without_anybody_to_ask_it_is_a_no():
    result, _told = await one([Delete()], call("delete", path="a"))
    assert result.status == "declined"


async def test_edited_arguments_are_run():
    delete = Delete()
    host = Answers(Decision(confirmed=True, args={"path": "b"}))
    events, _llm = await play([delete], call("delete", path="a"), host=host)
    (started,) = [event for event in events if isinstance(event, ToolStarted)]
    assert (started.arguments, delete.deleted) == ({"path": "b"}, ["b"])


async def test_edited_arguments_are_checked():
    delete = Delete()
    host = Answers(Decision(confirmed=True, args={"folder": "b"}))
    result, told = await one([delete], call("delete", path="a"), host=host)
    assert (result.status, delete.deleted) == ("failed", [])
    assert "folder" in told


async def test_a_bad_call_is_not_confirmed():
    host = Answers()
    result, _told = await one([Delete()], call("delete"), host=host)
    assert (result.status, host.requests) == ("failed", [])


@pytest.mark.parametrize(("path", "asks"), [("/etc/passwd", True), ("notes", False)])
async def test_a_rule_decides_whether_a_person_is_asked(path, asks):
    class Careful(Delete):
        requires_confirmation = staticmethod(lambda arguments: arguments["path"].startswith("/"))

    host = Answers(Decision(confirmed=True))
    await one([Careful()], call("delete", path=path), host=host)
    assert bool(host.requests) is asks


@pytest.mark.parametrize("rule", ["raises", "hangs"])
async def test_in_doubt_a_person_is_asked(rule, caplog):
    released = threading.Event()

    class Careful(BaseTool):
        name = "delete"
        description = "Delete"
        timeout = 0.05 if rule == "hangs" else 60

        def needs_confirmation(self, arguments):
            if rule == "raises":
                raise KeyError("x")
            return not released.wait(10)

        def execute(self):
            return "deleted"

    host = Answers(Decision(confirmed=True))
    await one([Careful()], call("delete"), host=host)
    released.set()
    assert len(host.requests) == 1
    assert "delete" in caplog.text


async def test_the_others_run_while_one_waits_for_a_person():
    answer = asyncio.get_running_loop().create_future()
    host = Answers(answer)
    llm = ScriptedLLM([[call("delete", path="a"), call("echo", text="b")], "ok"])
    agent = create_react_agent(tools=[Delete(), echo])
    finished = []
    async with aclosing(react.run(agent, [Message.user("hi")], host=host, context=session(), llm=llm)) as stream:
        async for event in stream:
            if isinstance(event, ToolFinished):
                finished.append(event.call.name)
                if not answer.done():
                    answer.set_result(Decision(confirmed=True))
    assert finished == ["echo", "delete"]


# --- progress ---


async def test_progress_is_reported_before_the_result():
    @tool
    async def works(context: RunContext) -> str:
        """Work."""
        context.progress("half", 50)
        await asyncio.sleep(0)
        return "done"

    events, _llm = await play([works], call("works"))
    (progress,) = [event for event in events if isinstance(event, ToolProgress)]
    assert (progress.text, progress.percent) == ("half", 50.0)
    assert events.index(progress) < events.index(results(events)[0])


@pytest.mark.parametrize("percent", ["half", float("nan"), [], None])
async def test_a_percentage_that_is_none_is_left_out(percent):
    @tool
    async def works(context: RunContext) -> str:
        """Work."""
        context.progress(12, percent)
        await asyncio.sleep(0)
        return "done"

    events, _llm = await play([works], call("works"))
    (progress,) = [event for event in events if isinstance(event, ToolProgress)]
    assert (progress.text, progress.percent) == ("12", None)


async def test_of_fast_reports_the_newest_counts_and_the_last_is_never_lost():
    reported, go_on = asyncio.Event(), asyncio.Event()

    @tool
    async def works(context: RunContext) -> str:
        """Work."""
        context.progress("first")
        await go_on.wait()
        for number in range(100):
            context.progress(str(number))
        await asyncio.sleep(0)
        reported.set()
        return "done"

    llm = ScriptedLLM([call("works"), "ok"])
    agent = create_react_agent(tools=[works])
    shown = []
    async with aclosing(react.run(agent, [Message.user("hi")], host=LocalHost(), context=session(), llm=llm)) as stream:
        async for event in stream:
            if isinstance(event, ToolProgress):
                shown.append(event.text)
                go_on.set()
                await reported.wait()  # the driver is slow: the tool reports while it takes note
    assert shown == ["first", "99"]


async def test_no_progress_after_the_result():
    late = []

    @tool
    async def works(context: RunContext) -> str:
        """Work."""
        late.append(context)
        return "done"

    @tool
    async def nags() -> str:
        """Report for the other."""
        while not late:
            await asyncio.sleep(0)
        for _ in range(5):
            late[0].progress("late")
            await asyncio.sleep(0)
        return "done"

    events, _llm = await play([works, nags], call("works"), call("nags"))
    after = events[events.index(next(item for item in results(events) if item.call.name == "works")) :]
    assert not [event for event in after if isinstance(event, ToolProgress)]
    late[0].progress("very late")
    await asyncio.sleep(0)


# --- what is kept of a result ---


async def test_the_state_is_kept_when_a_tool_changed_it():
    @tool
    def remembers(context: RunContext) -> str:
        """Remember."""
        context.state["city"] = "X\x00"
        return "ok"

    result, _told = await one([remembers], call("remembers"), context=session(n=1))
    assert result.state == {"city": "X\N{REPLACEMENT CHARACTER}", "n": 1}


async def test_the_state_is_not_kept_again_when_it_did_not_change():
    @tool
    def looks(context: RunContext) -> str:
        """Look."""
        context.state.pop("a")
        context.state["a"] = 1
        return "ok"

    result, _told = await one([looks], call("looks"), context=session(a=1, b=2))
    assert result.state is None


async def test_a_state_that_is_not_json_fails_the_call_that_left_it_and_mends():
    @tool
    def spoils(context: RunContext) -> str:
        """Spoil."""
        context.state["x"] = object()
        return "ok"

    @tool
    def looks() -> str:
        """Look."""
        return "ok"

    @tool
    def mends(context: RunContext) -> str:
        """Mend."""
        context.state["x"] = 2
        return "ok"

    llm = ScriptedLLM([call("spoils"), call("looks"), call("mends"), "ok"])
    agent = create_react_agent(tools=[spoils, looks, mends])
    stream = react.run(agent, [Message.user("hi")], host=LocalHost(), context=session(), llm=llm)
    async with aclosing(stream):
        spoilt, looked, mended = results([event async for event in stream])
    assert (spoilt.status, spoilt.state) == ("failed", None)
    assert "JSON" in spoilt.output
    assert (looked.status, looked.state) == ("success", None)
    assert (mended.status, mended.state) == ("success", {"x": 2})


async def test_a_tool_that_fails_keeps_what_it_remembered():
    @tool
    def fails(context: RunContext) -> str:
        """Fail."""
        context.state["tries"] = 1
        raise ToolFailed("no")

    result, _told = await one([fails], call("fails"), context=session())
    assert (result.status, result.state) == ("failed", {"tries": 1})


@pytest.mark.parametrize(("agents", "tools", "limit"), [(10, None, 10), (None, 20, 20), (10, 20, 10), (20, 10, 10)])
async def test_the_model_sees_as_much_as_agent_and_tool_allow(agents, tools, limit):
    class Talks(BaseTool):
        name = "talks"
        description = "Talks"
        max_observe = tools

        async def execute(self):
            return "x" * 100

    result, told = await one([Talks()], call("talks"), max_observe=agents)
    assert told == "x" * limit + f"\n[cut: {100 - limit} more characters]"
    assert result.output == "x" * 100


async def test_a_huge_output_is_cut_for_the_log():
    @tool
    def huge() -> dict:
        """Return a lot."""
        return {"text": "é" * MAX_OUTPUT_BYTES}

    result, _told = await one([huge], call("huge"))
    assert result.truncated
    assert result.data is None
    assert len(result.output.encode()) <= MAX_OUTPUT_BYTES


async def test_data_goes_to_the_client_and_not_to_the_model():
    @tool
    def looks() -> ToolResult:
        """Look."""
        return ToolResult("21 °C", data={"celsius": 21, "wind": None})

    result, told = await one([looks], call("looks"))
    assert (result.data, told) == ({"celsius": 21, "wind": None}, "21 °C")


@pytest.mark.parametrize(
    ("result", "output", "told"),
    [
        (ToolResult(output="2 found", system="Both are old."), "2 found", "2 found\nBoth are old."),
        (ToolResult(system="Nothing to see."), "", "Nothing to see."),
        (ToolResult(error="No.", system="Ask somebody else."), "Error: No.", "Error: No.\nAsk somebody else."),
        (ToolResult(output="plotted", base64_image=None, system=None), "plotted", "plotted"),
        (ToolResult(output="plotted", error=None, base64_image="", system=""), "plotted", "plotted"),
    ],
)
async def test_a_note_for_the_model_is_not_shown_to_people(result, output, told):
    @tool
    def finds() -> ToolResult:
        """Find."""
        return result

    finished, seen_by_model = await one([finds], call("finds"))
    assert (finished.output, seen_by_model) == (output, told)


async def test_a_tool_knows_its_own_call():
    @tool
    def looks(context: RunContext) -> str:
        """Look."""
        return context.call_id

    events, llm = await play([looks], call("looks"), call("looks"))
    assert seen(llm) == [item.id for item in llm.requests[1].messages[-3].tool_calls]
    assert len(set(seen(llm))) == 2


async def test_the_class_alone_is_told_unless_the_agent_wants_the_message(caplog):
    @tool
    def connect() -> str:
        """Connect."""
        raise ConnectionError("no route to db7\nsecond line")

    _result, told = await one([connect], call("connect"))
    assert told == "Error: connect failed with an internal error (ConnectionError)."
    assert "tool_errors" not in caplog.text
    events, llm = await play([connect], call("connect"), tool_errors="message")
    (result,) = results(events)
    assert seen(llm) == [result.output] == ["Error: connect failed: no route to db7 (ConnectionError)"]
    assert "are told the first line of what it says" in caplog.text


class OddError(Exception):
    def __str__(self):
        raise KeyError("no words")


@pytest.mark.parametrize("error", [ValueError(), ValueError("\n "), OddError()])
async def test_an_exception_without_words_is_told_by_its_class(error):
    @tool
    def fail() -> str:
        """Fail."""
        raise error

    events, _llm = await play([fail], call("fail"), tool_errors="message")
    assert "internal error" in results(events)[0].output


def test_tool_errors_is_one_of_two():
    with pytest.raises(AgentDefinitionError, match="tool_errors='text'"):
        create_react_agent(tool_errors="text")


async def test_pictures_are_part_of_the_message_and_of_the_event():
    @tool
    def plot() -> list:
        """Plot."""
        return ["done", Image(PNG)]

    events, llm = await play([plot], call("plot"))
    (result,) = results(events)
    assert [image.data for image in result.images] == [PNG]
    (message,) = [message for message in llm.requests[1].messages if message.role == "tool"]
    assert message == result.message
    assert message.text == result.output == '["done", "[image image/png, 1 KB]"]'
    assert message.pictures == [{"type": "image_url", "image_url": {"url": Image(PNG).url}}]
