"""OpenAI's Chat Completions: the answer to a list of messages, as text."""
