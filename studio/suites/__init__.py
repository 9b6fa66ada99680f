"""Suites: saved lists of prompts that base and adapters answer as a job, with checks, results and what was forgotten."""
