"""The recovering agent, traced."""

from dataclasses import replace

from recovering import agent as recovering

agent = replace(recovering, name="traced", enable_tracing=True)
