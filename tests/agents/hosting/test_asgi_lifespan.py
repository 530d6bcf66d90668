"""`Lifespan` against small applications, without a server."""

import asyncio
import logging

import pytest

from agents.hosting.asgi_lifespan import Lifespan, StartupFailed
from myagent import i18n
from tests.support.patience import WAIT_SECONDS


@pytest.fixture
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


def recording(log, *, startup="complete", shutdown="complete", message=None, after=None):
    """An application that answers as told and writes down what it was asked."""

    async def application(scope, receive, send):
        log.append(scope["type"])
        log.append((await receive())["type"])
        scope["state"]["answer"] = 42
        await send({"type": f"lifespan.startup.{startup}", **({"message": message} if message else {})})
        log.append((await receive())["type"])
        await send({"type": f"lifespan.shutdown.{shutdown}", **({"message": message} if message else {})})
        if after is not None:
            await after()
        log.append("over")

    return application


async def test_startup_and_shutdown_in_order():
    log = []
    lifespan = Lifespan(recording(log))
    await lifespan.startup()
    assert log == ["lifespan", "lifespan.startup"]
    assert lifespan.state == {"answer": 42}
    await lifespan.shutdown(10)
    assert log == ["lifespan", "lifespan.startup", "lifespan.shutdown", "over"]


async def test_a_failed_startup_says_why():
    lifespan = Lifespan(recording([], startup="failed", message="no database"))
    with pytest.raises(StartupFailed, match=r"^no database$"):
        await lifespan.startup()
    await lifespan.shutdown(10)


async def test_a_failed_startup_without_a_reason(in_english):
    lifespan = Lifespan(recording([], startup="failed"))
    with pytest.raises(StartupFailed, match=r"^The application could not start\.$"):
        await lifespan.startup()


async def raises(scope, receive, send):
    raise LookupError("no lifespan here")


async def returns(scope, receive, send):
    return


@pytest.mark.parametrize(("application", "reason"), [(raises, "no lifespan here"), (returns, "it returned at once")])
async def test_an_application_without_lifespan_is_not_bothered_again(application, reason, caplog):
    lifespan = Lifespan(application)
    await lifespan.startup()
    await lifespan.shutdown(10)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert reason in record.getMessage()


async def test_a_failed_shutdown_is_logged(caplog):
    lifespan = Lifespan(recording([], shutdown="failed", message="disk full"))
    await lifespan.startup()
    await lifespan.shutdown(10)
    assert "could not shut down properly: disk full" in caplog.text


async def test_a_shutdown_that_takes_too_long_is_cancelled(caplog):
    cancelled = asyncio.Event()

    async def application(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    lifespan = Lifespan(application)
    await lifespan.startup()
    await lifespan.shutdown(0.01)
    await cancelled.wait()
    assert "did not shut down within 0.01 s" in caplog.text


async def test_an_exception_while_serving_keeps_its_traceback(caplog):
    broken = asyncio.Event()

    async def application(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await broken.wait()
        raise RuntimeError("the engine is broken")

    lifespan = Lifespan(application)
    await lifespan.startup()
    broken.set()
    async with asyncio.timeout(WAIT_SECONDS):
        while not caplog.records:
            await asyncio.sleep(0)
    assert "RuntimeError: the engine is broken" in caplog.text
    await lifespan.shutdown(10)


async def test_an_exception_after_the_shutdown_keeps_its_traceback(caplog):
    async def fail():
        raise RuntimeError("the drain is blocked")

    lifespan = Lifespan(recording([], after=fail))
    await lifespan.startup()
    await lifespan.shutdown(10)
    assert "RuntimeError: the drain is blocked" in caplog.text


async def test_an_abort_cancels_a_startup():
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def application(scope, receive, send):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    lifespan = Lifespan(application)
    starting = asyncio.create_task(lifespan.startup())
    await begun.wait()
    starting.cancel()
    await lifespan.abort(10)
    assert cancelled.is_set()


async def test_an_abort_before_the_startup_does_nothing():
    await Lifespan(returns).abort(10)


@pytest.mark.parametrize("wrong", ["lifespan.shutdown.complete", "http.response.start"])
async def test_an_answer_to_another_question_is_the_applications_error(wrong, caplog):
    async def application(scope, receive, send):
        await send({"type": wrong})

    await Lifespan(application).startup()
    assert f"'{wrong}' cannot be sent now" in caplog.text


async def test_an_answer_counts_once():
    refused = asyncio.get_running_loop().create_future()

    async def application(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        try:
            await send({"type": "lifespan.startup.complete"})
        except ValueError as error:
            refused.set_result(str(error))
        await receive()

    lifespan = Lifespan(application)
    await lifespan.startup()
    assert "cannot be sent now" in await refused
    await lifespan.shutdown(10)
