"""The Model Context Protocol (`/mcp/`) as one more door to the same conversations: agents as tools, runs as tasks."""
