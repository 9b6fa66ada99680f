"""The project's own text for the built-in model: an endless, seeded stream of short conversations."""

from collections.abc import Iterator

from jobs.workers.pretrain_world import conversations, talk
from jobs.workers.pretrain_world.wording import Voice

Conversation = list[dict[str, str]]  # chat messages: role and content

# How much of the stream is what. One turn teaches the facts; the rest teaches to look back.
SHAPES = {
    "single": 57,
    "memory": 13,
    "not_told": 2,
    "follow_up": 9,
    "look_back": 4,
    "chain": 5,
    "system": 5,
    "small_talk": 2,
    "feelings_told": 2,
    "more": 1,
}


def as_messages(turns, system: str | None = None, voice: Voice | None = None) -> Conversation:
    messages = [{"role": "system", "content": system}] if system else []
    for said, answered in turns:
        messages.append({"role": "user", "content": voice.typed(said) if voice else said})
        messages.append({"role": "assistant", "content": answered})
    return messages


def conversation(voice: Voice) -> Conversation:
    shape = voice.rng.choices(list(SHAPES), SHAPES.values())[0]
    if shape == "system":
        system, turns = conversations.with_system(voice)
        return as_messages(turns, system, voice)
    told = getattr(talk if shape in {"small_talk", "feelings_told", "more"} else conversations, shape)
    return as_messages(told(voice), voice=None if shape == "look_back" else voice)


def stream(seed: int) -> Iterator[Conversation]:
    """The same seed tells the same conversations, for ever."""
    voice = Voice(seed)
    while True:
        yield conversation(voice)


if __name__ == "__main__":
    from itertools import islice

    for messages in islice(stream(1), 20):
        print(*(f"{m['role']}: {m['content']}" for m in messages), "", sep="\n")
