"""Does a server keep the protocol? `python -m myagent.conformance ws://localhost:8080/` asks it, as any client may."""
