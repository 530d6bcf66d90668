"""Tools that change what belongs to the whole process, as they would in a program of their own."""

from __future__ import annotations

import asyncio
import configparser
import io
import logging.config
import os
import sys

from myagent import create_react_agent, tool


def _file_config() -> None:
    parser = configparser.ConfigParser()
    parser.read_string(
        "[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nlevel=WARNING\nhandlers=\n"
    )
    logging.config.fileConfig(parser)


def _levels() -> None:
    for name in ("", "myagent", "myagent.tools", "myagent.server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _filters() -> None:
    for part in (logging.getLogger("myagent"), logging.getLogger("myagent.tools"), *logging.getLogger().handlers):
        part.addFilter(lambda record: False)


def _handlers() -> None:
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.CRITICAL)
        handler.setFormatter(logging.Formatter(""))
        handler.stream = io.StringIO()
        handler.close()


def _close_stream_of_handler() -> None:
    for handler in logging.getLogger().handlers:
        handler.stream.close()


def _propagate() -> None:
    for name in ("myagent", "myagent.tools"):
        logging.getLogger(name).propagate = False


WAYS = {
    "fileConfig": _file_config,
    "dictConfig": lambda: logging.config.dictConfig({"version": 1}),
    "disable": lambda: logging.disable(logging.CRITICAL),
    "shutdown and clear": lambda: (logging.shutdown(), logging.getLogger().handlers.clear()),
    "basicConfig": lambda: logging.basicConfig(force=True, stream=io.StringIO(), level="CRITICAL"),
    "levels": _levels,
    "filters": _filters,
    "handlers": _handlers,
    "stream": _close_stream_of_handler,
    "propagate": _propagate,
    "close stderr": lambda: (sys.stderr.close(), sys.stdout.close()),
    "no stderr": lambda: (setattr(sys, "stderr", None), setattr(sys, "stdout", None)),
    "close files": lambda: (os.close(1), os.close(2)),
    "folder": lambda: os.chdir("/"),
}


@tool
def meddle(way: str) -> str:
    """Changes something of the process."""
    WAYS[way]()
    return "done"


@tool
async def meddle_and_wait(way: str) -> str:
    """Changes something of the process, and works on until the server has put it back."""
    before = list(logging.getLogger().handlers)
    WAYS[way]()
    while not set(before) <= set(logging.getLogger().handlers):
        await asyncio.sleep(0.05)
    return "done"


@tool
async def fail(word: str) -> str:
    """Fails, so that the log has something to tell."""
    raise ValueError(word)


@tool
def where() -> str:
    """Tells the folder of the process."""
    return os.getcwd()


agent = create_react_agent(name="meddling", tools=[meddle, meddle_and_wait, fail, where], system_prompt="You meddle.")
