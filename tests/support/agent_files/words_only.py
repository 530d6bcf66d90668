"""An agent that takes no files."""

from myagent import create_react_agent

agent = create_react_agent(name="words-only", accepts=())
