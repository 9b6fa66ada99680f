"""Question and answer, with the passage that the question is about when there is one."""

from studio.formats.fields import Fields, column_format

FORMAT = column_format(
    "question_answer",
    "Question and answer",
    '{"question": "What is the capital of Peru?", "answer": "Lima."}',
    Fields(
        prompt=("question", "Question"),
        response=("answer", "Answer", "response"),
        context=("context", "passage"),
        context_first=True,
    ),
)
