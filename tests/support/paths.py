"""Where the tests find the project and the agent files they serve."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
AGENT_FILES = Path(__file__).resolve().parent / "agent_files"
