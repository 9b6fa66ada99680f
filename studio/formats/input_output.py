"""Input and output, or user and assistant: a question and its answer under names that nobody agreed on."""

from dataclasses import replace

from studio.formats.fields import Fields, column_format

FORMAT = replace(
    column_format(
        "input_output",
        "Input and output",
        '{"input": "Say hello in French.", "output": "Bonjour!"}',
        Fields(
            prompt=("input", "user", "human", "User", "Human", "Input"),
            response=("output", "assistant", "bot", "Assistant", "Output"),
        ),
    ),
    standing=-1,  # what also has the names of another format is of that one
)
