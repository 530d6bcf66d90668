"""Measures this server against a hand-written loop; see docs/benchmarks.md. `python -m bench`."""
