"""An adapter's passport: where it comes from, what it learned, by which settings, and what was found of it. docs/adapters.md has its schema."""
