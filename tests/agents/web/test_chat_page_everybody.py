"""The page to chat on for everybody: zoomed and narrow, on a phone, from right to left, without motion."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.docs.pictures.album import Look, staged
from tests.docs.pictures.scenes import SCENES
from tests.docs.pictures.stage import served
from tests.docs.pictures.states import STATES
from tests.support.browser import browsing
from tests.support.model_server import text

ENGLISH = SCENES[0]
SMALL = {
    "320 px": {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True},
    # What is left of 1280 x 800 for who makes everything twice as large.
    "200 %": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}
CUT_OFF = """() => {
    const shadow = document.querySelector("myagent-chat")?.shadowRoot ?? document;
    const found = [];
    const boxes = shadow.querySelectorAll(".shell, .scroller, .side, .rows, dialog, .menu");
    for (const box of [document.documentElement, ...boxes])
        if (box.scrollWidth > box.clientWidth + 1) found.push(`${box.className || box.localName} scrolls sideways`);
    for (const control of shadow.querySelectorAll("button, a, input, textarea, summary")) {
        const isShown = control.checkVisibility({ visibilityProperty: true, opacityProperty: true });
        if (!isShown || control.closest(".table, pre, .skip, [inert]")) continue;
        const { left, right, width } = control.getBoundingClientRect();
        const told = control.outerHTML.slice(0, 90);
        if (width && (left < -1 || right > innerWidth + 1)) found.push(`${told} from ${left} to ${right}`);
        const isCut = control.localName === "button" && control.scrollWidth > control.clientWidth + 1;
        if (isCut) found.push(`${told} is cut`);
    }
    return found;
}"""
MOVING = """() => document.querySelector("myagent-chat").shadowRoot.getAnimations({ subtree: true })
    .filter(({ playState }) => playState === "running")
    .map(({ animationName, effect }) => animationName ?? effect.target.className)"""
COLOUR = """() => {
    const { shadowRoot } = document.querySelector("myagent-chat");
    return getComputedStyle(shadowRoot.querySelector(".shell")).backgroundColor;
}"""
PHONE = {"viewport": {"width": 390, "height": 700}, "has_touch": True, "is_mobile": True}
KEYBOARD = """
class Seen extends EventTarget {
    scale = 1; width = 390; height = 700; offsetTop = 0;
    show(height, scale = 1) { Object.assign(this, { height, scale }); this.dispatchEvent(new Event("resize")); }
}
const seen = new Seen();
Object.defineProperty(window, "visualViewport", { get: () => seen });
"""
"""A browser that lays its keyboard over the page, and makes smaller only what is seen of it."""
HEBREW = "שלום, קראו ל-`print(x)` (עכשיו)."
ARABIC = "- مرحبا `a[0]` وداعا\n- hello"


@pytest.fixture(scope="module")
def running_server(tmp_path_factory, model):
    with served(tmp_path_factory.mktemp("server"), model, ENGLISH) as server:
        yield server


@pytest.fixture(scope="module")
def browser(running_server):
    with browsing() as browser:
        yield browser


def stage_on(browser, server, model, **options):
    return staged(browser, Look(ENGLISH, "wide"), server, model, **options)


# --- zoomed and narrow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SMALL)
def test_nothing_is_cut_off_in_any_state(browser, server, model, size):
    found = {}
    with stage_on(browser, server, model, **SMALL[size]) as stage:
        for name, state in STATES.items():
            model.reset()
            stage.begin()
            with state(stage):
                found[name] = stage.tab.page.evaluate(CUT_OFF)
    assert {name: cut for name, cut in found.items() if cut} == {}


# --- phones -----------------------------------------------------------------------------------------------------------


def test_a_keyboard_that_covers_the_page_leaves_the_composer_to_be_seen(browser, server, model):
    with stage_on(browser, server, model, **PHONE) as stage:
        page = stage.tab.page
        page.add_init_script(KEYBOARD)
        stage.begin()
        stage.ask(text(300))
        composer, height = page.locator(".composer"), "node => node.getBoundingClientRect().bottom"
        assert 600 < composer.evaluate(height) <= 700
        stage.tab.words.tap()
        page.evaluate("visualViewport.show(400)")
        assert 300 < composer.evaluate(height) <= 400
        box = page.locator(".bar").bounding_box()
        assert box is not None
        assert box["y"] == 0
        # With two fingers one sees less of a page that stays as it is.
        page.evaluate("visualViewport.show(350, 2)")
        assert 600 < composer.evaluate(height) <= 700
        page.evaluate("visualViewport.show(700)")
        assert 600 < composer.evaluate(height) <= 700


def test_nothing_is_below_the_notch(browser, server, model):
    with stage_on(browser, server, model, **PHONE) as stage:
        page = stage.tab.page
        stage.begin()
        expect(page.locator('meta[name="viewport"][content*="viewport-fit=cover"]')).to_have_count(1)
        insets = {"top": 44, "bottom": 34, "left": 20, "right": 20}
        page.context.new_cdp_session(page).send("Emulation.setSafeAreaInsetsOverride", {"insets": insets})
        stage.ask(text(300))
        button, composer = page.locator(".toggle").bounding_box(), page.locator(".composer").bounding_box()
        said = page.locator(".said .bubble").bounding_box()
        assert button and composer and said
        assert button["y"] >= 44
        assert button["x"] >= 20
        assert composer["y"] + composer["height"] <= 700 - 34
        assert composer["x"] >= 20
        assert said["x"] + said["width"] <= 390 - 20
        page.locator(".toggle").tap()
        brand, person = page.locator(".brand").bounding_box(), page.locator(".person").bounding_box()
        assert brand and person
        assert brand["y"] >= 44
        assert person["y"] + person["height"] <= 700 - 34


def test_who_pulls_the_page_down_does_not_load_it_again(browser, server, model):
    with stage_on(browser, server, model, **PHONE) as stage:
        page = stage.tab.page
        stage.begin()
        stage.ask(text(30))
        page.evaluate("window.isKept = true")
        beyond = "node => getComputedStyle(node).overscrollBehaviorY"
        assert page.locator("html").evaluate(beyond) == "none"
        assert page.locator(".scroller").evaluate(beyond) == "contain"
        cdp = page.context.new_cdp_session(page)
        cdp.send("Input.synthesizeScrollGesture", {"x": 200, "y": 300, "yDistance": 300, "gestureSourceType": "touch"})
        assert page.evaluate("isKept")


def test_a_phone_is_not_covered_by_a_keyboard_that_nobody_asked_for(browser, server, model):
    with stage_on(browser, server, model, **PHONE) as stage:
        stage.begin()
        stage.ask_for_order()
        stage.tab.question.locator(".yes").tap()
        stage.tab.finished()
        expect(stage.tab.words).not_to_be_focused()
        stage.tab.page.locator(".toggle").tap()
        stage.tab.rows.first.tap()
        expect(stage.tab.rows.first).to_be_hidden()
        expect(stage.tab.words).not_to_be_focused()


# --- from right to left, and without motion ---------------------------------------------------------------------------


def test_texts_go_in_the_direction_of_their_words(browser, server, model):
    with stage_on(browser, server, model) as stage:
        stage.begin()
        turn = stage.ask(text(f"{HEBREW}\n\nEnglish.\n\n```\nשלום = 1\n```\n\n{ARABIC}"), words=HEBREW)
        direction = "nodes => nodes.map(node => getComputedStyle(node).direction)"
        assert stage.tab.said_texts.evaluate_all(direction) == ["rtl"]
        assert turn.locator(".text p").evaluate_all(direction) == ["rtl", "ltr"]
        assert turn.locator(".text li").evaluate_all(direction) == ["rtl", "ltr"]
        assert turn.locator(".text .code, .text :not(pre) > code").evaluate_all(direction) == ["ltr"] * 3
        # A piece of code among words from right to left keeps its brackets where they belong.
        left, right = turn.locator(".text p code").first.evaluate(
            """node => [0, node.textContent.length - 1].map(at => {
                const range = document.createRange();
                range.setStart(node.firstChild, at);
                range.setEnd(node.firstChild, at + 1);
                return range.getBoundingClientRect().left;
            })"""
        )
        assert left < right
        stage.tab.words.fill(HEBREW)
        assert stage.tab.words.evaluate_all(direction) == ["rtl"]
        stage.tab.words.fill("")
        expect(stage.tab.rows.first.locator(".title")).to_have_css("direction", "rtl")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_for_who_wants_it_so(browser, server, model, motion):
    with stage_on(browser, server, model, reduced_motion=motion) as stage:
        stage.begin()
        end = stage.begin_answer(text("one two", hang=0))
        expect(stage.tab.page.locator(".turn .dots")).to_be_visible()
        moving = stage.tab.page.evaluate(MOVING)
        assert moving == [] if motion == "reduce" else "breathe" in moving
        end()
        smooth = "nodes => nodes.filter(node => getComputedStyle(node).scrollBehavior === 'smooth').length"
        assert stage.tab.page.locator("*").evaluate_all(smooth) == 0


# --- whose language it is ---------------------------------------------------------------------------------------------


def test_the_language_is_chosen_for_what_the_server_says_too(browser, server, model):
    """What stands on record stays as it was said; the server is asked for everything else in the new language."""
    with stage_on(browser, server, model) as stage:
        page, tab = stage.tab.page, stage.tab
        stage.begin()
        stage.ask(text("one two"))
        asked = []
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.locator(".settings .opener").click()
        page.get_by_role("menuitemradio", name="简体中文").click()
        for _ in range(2):
            expect(page.get_by_role("button", name="新对话").first).to_be_visible()
            tab.connected()
            expect(page.locator("myagent-chat")).to_have_attribute("lang", "zh-Hans")
            assert page.evaluate("document.documentElement.lang") == "zh-Hans"
            page.reload()
        tab.connected()
        assert len(asked) == 3
        assert all("lang=zh-hans" in url for url in asked)


def test_the_theme_is_kept(browser, server, model):
    with stage_on(browser, server, model) as stage:
        stage.begin()
        page = stage.tab.page
        light = page.evaluate(COLOUR)
        page.locator(".settings .opener").click()
        page.get_by_role("menuitemradio", name="Dark").click()
        dark = page.evaluate(COLOUR)
        assert dark != light
        page.reload()
        stage.tab.connected()
        assert page.evaluate(COLOUR) == dark
        page.emulate_media(color_scheme="light")
        assert page.evaluate(COLOUR) == dark
        page.locator(".settings .opener").click()
        page.get_by_role("menuitemradio", name="As the system").click()
        assert page.evaluate(COLOUR) == light
