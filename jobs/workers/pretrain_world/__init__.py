"""The small world of the built-in model: what it knows, what it can do, and how people ask for it."""
