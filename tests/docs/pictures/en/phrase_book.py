"""Another agent of the pictures, without tools."""

from myagent import create_react_agent

agent = create_react_agent(name="phrase-book", description="Says it in the language of the country")
