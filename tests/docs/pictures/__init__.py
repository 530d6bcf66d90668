"""The pictures of the documentation, taken from real programs and pages: `make pictures`."""
