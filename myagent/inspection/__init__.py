"""Looks at an agent that was loaded, for what will go wrong later on: pure, nothing is run and nothing is asked."""
