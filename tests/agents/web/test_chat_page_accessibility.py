"""The page to chat on by the rules of axe-core: nothing serious in any state, wide and narrow, light and dark."""

from __future__ import annotations

import pytest

from tests.docs.pictures.album import SCHEMES, SCREENS, Look, staged
from tests.docs.pictures.scenes import SCENES
from tests.docs.pictures.stage import served
from tests.docs.pictures.states import STATES
from tests.support.browser import browsing
from tests.support.paths import ROOT

ENGLISH = SCENES[0]
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
LOOK = """async () => {
    const element = document.querySelector("myagent-chat");
    // Half faded in, no colour has its contrast.
    for (const one of (element?.shadowRoot ?? document).getAnimations()) one.cancel();
    const { violations, passes } = await axe.run(document);
    if (!passes.some(({ id }) => id === "color-contrast")) throw new Error("no colours were looked at");
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => [id, ...nodes.map(({ any, html }) => `${html}: ${any.map(one => one.message)}`)]);
}"""

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in console")


@pytest.fixture(scope="module")
def running_server(tmp_path_factory, model):
    with served(tmp_path_factory.mktemp("server"), model, ENGLISH) as server:
        yield server


@pytest.fixture(scope="module")
def browser(running_server):
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_serious_is_found_in_any_state(browser, server, model, screen):
    found = {}
    # Its transitions are switched off, so that every colour is there at once.
    with staged(browser, Look(ENGLISH, screen), server, model) as stage:
        for name, state in STATES.items():
            model.reset()
            stage.begin()
            with state(stage):
                stage.tab.page.evaluate(AXE.read_text(encoding="utf-8"))
                for scheme in SCHEMES:
                    stage.tab.page.emulate_media(color_scheme=scheme)
                    found[name, scheme] = stage.tab.page.evaluate(LOOK)
    assert {state: all for state, all in found.items() if all} == {}
