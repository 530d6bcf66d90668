"""A dangerous tool asks first. 危险的工具先征得同意。

    myagent-ws server examples/confirmation.py --llm demo

Say "Show report.txt", then "Delete report.txt" and "Delete cache.tmp": a person is asked before a document goes, and
nobody before a temporary file does. The user may also change the arguments, or leave: the question waits, also over a
restart of the server, and silence is a no.

试着说 “Show report.txt”，再说 “Delete report.txt” 和 “Delete cache.tmp”：删除文档前会询问用户，删除临时文件则不会。
"""

from typing import Literal

from myagent import RunContext, ToolFailed, create_react_agent, tool

FILES = {"report.txt": "Sales rose by 4 %.", "photos.zip": "(1.2 GB)", "cache.tmp": "(nothing of value)"}
Name = Literal["report.txt", "photos.zip", "cache.tmp"]


def files_of(run: RunContext) -> dict[str, str]:
    """The files of this conversation; every session begins with the same ones."""
    return run.state.setdefault("files", dict(FILES))


@tool
async def show_file(name: Name, run: RunContext) -> str:
    """Shows what is in a file.

    Args:
        name: the file
    """
    if name not in files_of(run):
        raise ToolFailed(f"{name} was deleted.")
    return files_of(run)[name]


# True would always ask. A function of the arguments decides for each call; when it fails, a person is asked.
@tool(requires_confirmation=lambda args: not args["name"].endswith(".tmp"), confirm_timeout=600)
async def delete_file(name: Name, run: RunContext) -> str:
    """Deletes a file for good.

    Args:
        name: the file
    """
    files_of(run).pop(name, None)
    return f"{name} is gone. Left: {', '.join(sorted(files_of(run))) or 'nothing'}."


agent = create_react_agent(
    name="careful-files",
    description="Shows and deletes files, and asks before it deletes",
    tools=[show_file, delete_file],
    system_prompt="You look after a folder. Delete only what the user named.",
)
