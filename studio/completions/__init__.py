"""The studio's answers in OpenAI's protocol, for programs that speak it: the same models, worker and line as Compare."""
