"""An agent that drops what it does for a new message."""

from myagent import create_react_agent

agent = create_react_agent(name="interrupting", when_busy="interrupt")
