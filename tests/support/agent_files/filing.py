"""An agent whose tool reads files."""

import hashlib

from myagent import RunContext, create_react_agent, tool


@tool
def list_files(run: RunContext) -> list[dict[str, object]]:
    """Tells of all files of the conversation."""
    return [
        {"name": file.name, "type": file.type, "size": file.size, "sha256": hashlib.sha256(file.read()).hexdigest()}
        for file in run.files
    ]


agent = create_react_agent(name="filing", tools=[list_files], examples=["Which files are there?"])
