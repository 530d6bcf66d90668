"""An agent whose window is small and whose model writes summaries of what does not fit."""

from myagent import create_react_agent

agent = create_react_agent(name="summarizing", system_prompt="Be kind.", compact="summarize", context_window=1_200)
