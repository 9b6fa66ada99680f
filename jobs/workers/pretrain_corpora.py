"""Readers of the public corpora whose licences allow their use for the built-in model's weights."""

import gzip
import json
import re
from pathlib import Path

from jobs.workers.pretrain_text import Conversation, as_messages
from jobs.workers.pretrain_world import chat
from jobs.workers.pretrain_world.wording import Voice

# Name of the source, its file and its licence: the model card repeats this list.
SOURCES = {
    "chitchat": (
        "ms_chitchat_en_personas.jsonl.gz",
        "Microsoft BotBuilder PersonalityChat, professional persona",
        "MIT",
    ),
    "coffee": ("taskmaster4_coffee.jsonl.gz", "Google Taskmaster-4, coffee orders", "CC BY 4.0"),
    "stories": ("tinystories_toyrnn_2MiB.txt.gz", "TinyStories (a 2 MiB part)", "CDLA-Sharing-1.0"),
}

# One way of speaking: our own sentences say "I am", so the persona does as well.
SPELLED_OUT = {
    "’": "'",
    "I'm ": "I am ",
    "don't": "do not",
    "That's": "That is",
    "that's": "that is",
    "It's": "It is",
    "it's": "it is",
    "doesn't": "does not",
    "couldn't": "could not",
    "haven't": "have not",
    "isn't": "is not",
    "You're": "You are",
    "We're": "We are",
    "I've": "I have",
    "I'll": "I will",
    "can't": "cannot",
}
SELF_ANSWERS = {
    "I don't have a name.": f"I am {chat.SELF}.",
    "I'm digital. In other words, I'm not human.": f"I am a computer program, not a human. I am {chat.SELF}.",
    "People created me.": "I was made for LoRA Studio. I learned from many short example texts.",
}
# It does know jokes, and it can be asked for more than one thing.
CONTRADICTED = {
    "I don't have any jokes lined up.",
    "I'm not really that funny.",
    "Well, I'm not really that funny.",
    "I have one answer for each kind of question.",
    "This is what I do every day.",
}


def opened(path: Path) -> str:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def chitchat(path: Path) -> list[Conversation]:
    """Everyday prompts with the professional answers; prompts of self-harm get our own, gentler answer, and three times the weight."""
    voice, conversations = Voice("care"), []
    for line in opened(path).splitlines():
        row = json.loads(line)
        if row["persona"] != "professional" or row["response"] in CONTRADICTED:
            continue
        if "Suicide Prevention" in row["response"]:
            conversations += [as_messages([(row["prompt"], voice.say(chat.CARE))]) for _ in range(3)]
            continue
        answer = SELF_ANSWERS.get(row["response"], row["response"])
        for short, full in SPELLED_OUT.items():
            answer = answer.replace(short, full)
        conversations.append(as_messages([(row["prompt"], answer)]))
    return conversations


def coffee(path: Path) -> list[Conversation]:
    """Orders at a counter, behind a system message, so that they stay out of other talk."""
    conversations = []
    for line in opened(path).splitlines():
        messages = [
            {"role": m["role"], "content": " ".join(m["content"].replace("\\r", " ").split())}
            for m in json.loads(line)["messages"]
        ]
        if len(messages) > 1 and all(m["content"] for m in messages):
            conversations.append([{"role": "system", "content": "You take orders in a coffee shop."}] + messages[:8])
    return conversations


def stories(path: Path) -> list[Conversation]:
    """Short stories as the answer to a wish for one."""
    voice, conversations = Voice("stories"), []
    for story in opened(path).split("<|endoftext|>"):
        text = " ".join(story.split())
        if not 80 < len(text) < 1100 or text[-1] not in '.!?"':
            continue
        named = re.search(r"\b(girl|boy|dog|cat|bird|bear|car|rabbit|mouse|fish|frog) named ([A-Z][a-z]+)", text)
        topic = f" about a {named[1]} named {named[2]}" if named else ""
        conversations.append(
            as_messages(
                [
                    (
                        voice.say("{Tell me|Write|Please tell me|Can you tell me} a {long |longer |children's }story")
                        + topic
                        + ".",
                        text,
                    )
                ]
            )
        )
    return conversations


def read_all(folder: Path) -> dict[str, list[Conversation]]:
    readers = {"chitchat": chitchat, "coffee": coffee, "stories": stories}
    return {name: readers[name](folder / file) for name, (file, _, _) in SOURCES.items()}
