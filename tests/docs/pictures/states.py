"""The states of the chat page: what each is called, and how one gets there with a real server and a scripted model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from playwright.sync_api import expect

from tests.docs.pictures.stage import Stage
from tests.support.chat_tab import root
from tests.support.file_client import PNG
from tests.support.model_server import Status, text, tools

State = Callable[[Stage], AbstractContextManager[None]]
STATES: dict[str, State] = {}
"""By name; what is under way in a state ends when it is left."""


def state(enter: Callable[[Stage], Iterator[None]]) -> State:
    """One state; `enter` begins on an empty page and yields where the picture is taken."""
    STATES[enter.__name__] = made = contextmanager(enter)
    return made


# --- what the page looks like by itself -------------------------------------------------------------------------------


@state
def empty(stage: Stage) -> Iterator[None]:
    stage.find(".welcome summary").click()
    yield


@state
def agents(stage: Stage) -> Iterator[None]:
    stage.find("button.agent").click()
    expect(stage.find("dialog.agents")).to_be_visible()
    yield


@state
def settings(stage: Stage) -> Iterator[None]:
    if stage.find(".toggle").count():
        stage.find(".toggle").click()
    stage.find(".settings .opener").click()
    expect(stage.find(".settings [role=menuitemradio]").first).to_be_visible()
    yield


@state
def door(stage: Stage) -> Iterator[None]:
    stage.tab.page.evaluate("sessionStorage.clear()")
    stage.tab.open(f"{root(stage.server)}?token=mya_wrong")
    expect(stage.find("dialog.door .reason")).to_be_visible()
    yield
    stage.tab.trouble.clear()  # a list of agents was asked for with the wrong token


@state
def login(stage: Stage) -> Iterator[None]:
    stage.tab.open(f"{root(stage.server)}login/")
    expect(stage.find("#id_password")).to_be_visible()
    yield


@state
def offline(stage: Stage) -> Iterator[None]:
    stage.ask(text(stage.scene.begun))
    stage.tab.page.context.set_offline(True)
    stage.tab.page.evaluate("dispatchEvent(new Event('offline'))")
    expect(stage.find(".trouble-line")).to_be_visible()
    stage.tab.say(stage.scene.order)
    expect(stage.find(".said.unsent")).to_be_visible()
    yield
    stage.tab.page.context.set_offline(False)
    stage.tab.finished()
    stage.tab.trouble.clear()  # the browser says that nobody answered


# --- answers ----------------------------------------------------------------------------------------------------------


@state
def waiting(stage: Stage) -> Iterator[None]:
    end = stage.begin_answer(text(stage.scene.begun, hang=0))
    expect(stage.find(".turn .dots")).to_be_visible()
    yield
    end()


@state
def streaming(stage: Stage) -> Iterator[None]:
    reply = text(stage.scene.begun, hang=len(text(stage.scene.begun).tokens) - 2)
    end = stage.begin_answer(reply, tools(("get_weather", stage.scene.weather), reasoning=[stage.scene.thought]))
    expect(stage.find(".turn .text strong")).to_be_visible()
    stage.tab.words.fill(stage.scene.order)
    yield
    end()


@state
def queued(stage: Stage) -> Iterator[None]:
    end = stage.begin_answer(text(stage.scene.begun, hang=6))
    expect(stage.tab.texts).to_be_visible()
    stage.tab.say(stage.scene.order)
    expect(stage.find(".turn.queued")).to_be_visible()
    yield
    end()


@state
def tool(stage: Stage) -> Iterator[None]:
    calls = tools(("get_weather", stage.scene.weather), reasoning=[stage.scene.thought])
    turn = stage.ask(calls, text(stage.scene.begun + "."))
    for summary in turn.locator("summary").all():
        summary.click()
    expect(turn.locator(".result")).to_be_visible()
    yield


@state
def answer(stage: Stage) -> Iterator[None]:
    turn = stage.ask(text(stage.scene.answer))
    expect(turn.locator("[class^=hljs]").first).to_be_visible()
    expect(turn.locator(".formula math")).to_be_visible()
    turn.locator(".thumb.down").click()
    expect(turn.locator(".comment input")).to_be_focused()
    yield


@state
def long(stage: Stage) -> Iterator[None]:
    for _ in range(3):
        stage.ask(text(stage.scene.answer))
    expect(stage.find("[class^=hljs]").first).to_be_visible()
    stage.find(".scroller").evaluate("log => { log.scrollTop = log.scrollHeight / 3; }")
    expect(stage.find(".newest")).to_be_visible()
    yield


@state
def error(stage: Stage) -> Iterator[None]:
    stage.ask(Status(400, stage.scene.refusal))
    expect(stage.find(".failure")).to_be_visible()
    yield


@state
def stopped(stage: Stage) -> Iterator[None]:
    stage.begin_answer(text(stage.scene.begun, hang=6))
    expect(stage.tab.texts).to_be_visible()
    stage.stop()
    yield


# --- questions --------------------------------------------------------------------------------------------------------


@state
def question(stage: Stage) -> Iterator[None]:
    stage.ask_for_order()
    yield
    stage.stop()


@state
def question_changed(stage: Stage) -> Iterator[None]:
    stage.ask_for_order()
    stage.tab.question.locator(".change").click()
    stage.tab.question.locator("textarea").fill('{\n  "hotel": "Seaview"\n}')
    expect(stage.tab.question.locator(".problems li")).to_be_visible()
    yield
    stage.stop()


@state
def question_declined(stage: Stage) -> Iterator[None]:
    stage.ask_for_order()
    stage.tab.question.locator(".no").click()
    expect(stage.tab.question.locator(".reason input")).to_be_focused()
    yield
    stage.stop()


@state
def question_elsewhere(stage: Stage) -> Iterator[None]:
    reply = tools(("book_room", stage.scene.booking), hang=0)
    stage.begin_answer(reply)
    asking = stage.tab.session
    stage.show_list()
    stage.find(".fresh").click()
    reply.gate.open()
    expect(stage.find(".toast")).to_be_visible()
    yield
    stage.back_to(asking)
    stage.stop()


# --- conversations ----------------------------------------------------------------------------------------------------


@state
def conversations(stage: Stage) -> Iterator[None]:
    """Each mark: failed and unread, running, waiting, shown."""
    with ExitStack() as ends:
        for title in stage.scene.titles:
            stage.ask(text(stage.scene.begun), words=title)
            stage.begin()
        stage.model.script(running := text(stage.scene.begun, hang=3))
        stage.tab.say(stage.scene.others[0][1])
        ends.callback(running.gate.open)
        expect(stage.tab.texts).to_be_visible()
        stage.begin()
        stage.ask_for_order()
        asking = stage.tab.session
        stage.begin()
        stage.ask(text(stage.scene.begun))
        stage.show_list()
        expect(stage.find(".conversation.waiting")).to_have_count(1)
        expect(stage.find(".conversation.running")).to_have_count(1)
        yield
    stage.back_to(asking)
    stage.stop()


@state
def nothing_found(stage: Stage) -> Iterator[None]:
    stage.ask(text(stage.scene.begun))
    stage.show_list()
    stage.find(".search input").fill("xyzzy")
    expect(stage.find(".rows .empty")).to_be_visible()
    yield


@state
def rename(stage: Stage) -> Iterator[None]:
    stage.ask(text(stage.scene.begun))
    stage.choose("[role=menuitem] >> nth=0")
    expect(stage.find("dialog.rename")).to_be_visible()
    yield


@state
def menu(stage: Stage) -> Iterator[None]:
    stage.ask(text(stage.scene.begun))
    stage.show_list()
    stage.find(".conversation.shown .opener").click()
    expect(stage.find(".menu:popover-open")).to_be_visible()
    yield


@state
def deleted(stage: Stage) -> Iterator[None]:
    stage.ask(text(stage.scene.begun))
    stage.choose(".bad")
    expect(stage.find(".toast")).to_be_visible()
    yield


@state
def fork(stage: Stage) -> Iterator[None]:
    turn = stage.ask(text(stage.scene.begun))
    before = stage.tab.session
    stage.model.script(text(stage.scene.begun))
    turn.locator(".repeat").click()
    expect(stage.find(".origin")).to_be_visible()
    assert stage.tab.session != before
    stage.tab.finished()
    yield


@state
def editing(stage: Stage) -> Iterator[None]:
    stage.ask(text(stage.scene.begun))
    stage.find(".said").hover()
    stage.find(".said .edit").click()
    expect(stage.find(".composer .editing")).to_be_visible()
    yield


@state
def files(stage: Stage) -> Iterator[None]:
    chosen = [("dot.png", "image/png", PNG), (stage.scene.file, "text/plain", b"by tram " * 1_000)]
    refused = [(stage.scene.refused, "text/plain", b"")]
    payloads = [{"name": name, "mimeType": kind, "buffer": data} for name, kind, data in chosen + refused]
    stage.find("input[type=file]").set_input_files(payloads)
    expect(stage.find(".files li")).to_have_count(2)
    expect(stage.find(".trouble")).to_be_visible()
    stage.tab.words.fill(stage.scene.question)
    yield
