"""Makes pictures: `make pictures`, or `python -m tests.docs.pictures [en|zh|states] [--state NAME ...]`.

Those of the documentation: for each language a real server serves `travel_desk.py` by the demo model; its banner, a
chat in the terminal, the page to chat on and the admin become files in docs/images. And those of every state of the
chat page (`states.py`), to be looked at: build/pictures, with an index.html. Needs the port 8080, Chromium and a
Chinese font.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from myagent.client import connect
from tests.docs.pictures.album import ALBUM, fill
from tests.docs.pictures.pages import Photographer
from tests.docs.pictures.scenes import AGENT_FILE, SCENES, Scene
from tests.docs.pictures.screen import Replacements, draw
from tests.docs.pictures.states import STATES
from tests.myagent.cli.test_main import environment
from tests.support.browser import BROWSERS, browsing
from tests.support.paths import ROOT
from tests.support.terminal import ENTER, Terminal

IMAGES = ROOT / "docs" / "images"
PORT = 8080
COMMAND = [sys.executable, "-m", "myagent.cli.main"]
URL = f"ws://localhost:{PORT}/"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[[], *(scene.name for scene in SCENES), "states"])
    parser.add_argument("--state", action="append", choices=list(STATES), help="only this one; may be repeated")
    arguments = parser.parse_args()
    wanted = arguments.what or (["states"] if arguments.state else [])
    _check_machine()
    IMAGES.mkdir(exist_ok=True)
    for scene in SCENES:
        if not wanted or scene.name in wanted:
            _take(scene)
    if not wanted or "states" in wanted:
        fill(arguments.state or ())
        sys.stdout.write(f"{ALBUM / 'index.html'} shows every state of the chat page\n")


def _check_machine() -> None:
    if not any(map(shutil.which, BROWSERS)):
        sys.exit(f"❌ None of {', '.join(BROWSERS)} is installed: apt-get install chromium")
    fonts = subprocess.run(["fc-list", ":lang=zh", "file"], capture_output=True, text=True, check=False).stdout
    if not fonts.strip():
        sys.exit("❌ No font has Chinese characters: apt-get install fonts-noto-cjk")


def _take(scene: Scene) -> None:
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder, _serving(scene, Path(folder)) as server:
        shutil.copy(scene.folder / AGENT_FILE, folder)
        shown = Replacements(
            (r"mya_[\w-]{43}", f"mya_{'x' * 43}"),
            (re.escape(folder), "~/agents"),
            (r"(?<=local, password )[\w-]+|(?<=local，密码 )[\w-]+", "········"),
        )
        banner = draw(server, title="myagent-ws server", name="banner", replacements=shown, first="🚀")
        (IMAGES / f"banner.{scene.name}.svg").write_text(banner, encoding="utf-8")
        password = re.search(r"local(?:, password |，密码 )([\w-]+)", server.text)[1]
        _chat(scene, Path(folder))
        asyncio.run(_fill(scene, Path(folder)))
        session_id = asyncio.run(_conversation(scene))
        with browsing() as browser, closing(Photographer(browser, scene, f"http://localhost:{PORT}", IMAGES)) as camera:
            camera.chat()
            camera.log_in(password)
            camera.sessions()
            camera.conversation(session_id)


@contextmanager
def _serving(scene: Scene, folder: Path) -> Iterator[Terminal]:
    shutil.copy(scene.folder / AGENT_FILE, folder)
    environ = _environment(scene, folder, MYAGENT_DATA_DIR=str(folder / ".myagent"))
    server = [*COMMAND, "server", AGENT_FILE, "--llm", "demo", "--port", str(PORT)]
    with Terminal(server, folder=folder, environment=environ, columns=100, rows=30) as terminal:
        terminal.wait("Ctrl-C")
        yield terminal


def _environment(scene: Scene, folder: Path, **extra: str) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # as in an active environment
    known = environment(folder, MYAGENT_LANGUAGE=scene.language, HOME=str(folder), TZ="UTC", PATH=path, **extra)
    return {name: value for name, value in known.items() if name not in ("NO_COLOR", "COLUMNS", "LINES", "EDITOR")}


def _chat(scene: Scene, folder: Path) -> None:
    """A chat in the terminal: an answer with two calls, and one that is confirmed."""
    environ = _environment(scene, folder)
    with Terminal([*COMMAND, "chat"], folder=folder, environment=environ, columns=92, rows=40) as terminal:
        terminal.say(scene.question)
        terminal.say(scene.order)
        terminal.wait("[y")
        terminal.type("y")
        terminal.type(ENTER)
        terminal.wait_prompt()
        picture = draw(terminal, title="myagent-ws chat", name="chat", replacements=Replacements())
    (IMAGES / f"chat.{scene.name}.svg").write_text(picture, encoding="utf-8")


async def _fill(scene: Scene, folder: Path) -> None:
    """Conversations of several people, one of which waits for an answer."""
    tokens = {user: _token(scene, folder, user) for user in {user for user, _said in scene.others}}
    for user, said in scene.others:
        async with connect(URL, token=tokens[user]) as client:
            await client.say(await client.create_session(), said)
            await client.wait_for(lambda frame: frame.ends_run)
    async with connect(URL, token=tokens["ada"]) as client:
        await client.say(await client.create_session(), scene.waiting)
        await client.wait_for("agent.user_confirm")


async def _conversation(scene: Scene) -> str:
    """The conversation that the admin is shown with; returns its id."""
    async with connect(URL) as client:
        session_id = await client.create_session()
        await client.say(session_id, scene.question)
        await client.wait_for("agent.final_answer")
        await client.say(session_id, scene.order)
        asked = await client.wait_for("agent.user_confirm")
        await client.respond(session_id, asked.step_id or "", confirmed=True)
        await client.wait_for("agent.final_answer")
    return session_id


def _token(scene: Scene, folder: Path, user: str) -> str:
    command = [sys.executable, str(ROOT / "manage.py"), "createtoken", user, "--create-user", "--name", "laptop"]
    environ = _environment(scene, folder, MYAGENT_DATA_DIR=str(folder / ".myagent"))
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
