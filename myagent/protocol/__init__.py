"""The wire contract, pure: frames to events and back. Knows nothing of agents, Django or sockets."""
