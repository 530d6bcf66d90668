"""An agent without tools."""

from myagent import create_react_agent

agent = create_react_agent(name="second", system_prompt="You are the second one.")
