"""Prompt and completion: one text and how it goes on, as texts or as lists of messages."""

from studio.formats.fields import Fields, column_format

FORMAT = column_format(
    "prompt_completion",
    "Prompt and completion",
    '{"prompt": "Say hello in French.", "completion": "Bonjour!"}',
    Fields(prompt=("prompt", "query"), response=("completion", "response", "output")),
)
