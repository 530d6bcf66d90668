"""OpenAI's API (`/v1/`) as one more door to the same conversations: chat completions, and agents as models."""
