"""An agent that takes no message while it answers."""

from myagent import create_react_agent

agent = create_react_agent(name="rejecting", when_busy="reject")
