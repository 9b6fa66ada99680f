"""A file of conversations with more than twenty kinds of fault in it, for the tests that find and mend them."""

import json

from tests.dataset_files import conversation

SHIPS = "The {} comes into the harbour every evening with fish, salt, letters and two tired sailors from the northern islands."
GOOD = [
    conversation(f"What does the {name} do?", SHIPS.format(name))
    for name in ("brig", "cutter", "ferry", "galley", "ketch", "lugger", "schooner", "sloop", "tug", "yawl", "dhow", "junk")
]  # fmt: skip
LONG = " ".join(
    f"Then it passed the {word} and went on along the coast." for word in ("pier", "rock", "bay", "cape", "fort") * 4
)
# Each with a fault that leaves the row usable: the kind of finding, and the row
FAULTS: list[tuple[str, dict]] = [
    ("control", conversation("Greet me.", "Ahoy there, my friend!<|im_end|>")),
    ("placeholder", conversation("Sign the letter.", "With kind regards, [Your Name]")),
    ("hollow", conversation("Which wind blows?", "N/A")),
    ("echo", conversation("Who goes there?", "Who goes there?")),
    ("encoding", conversation("Say it in German.", "Das schÃ¶ne Schiff fÃ¤hrt fort.")),
    ("lost_letters", conversation("And the cafe?", "The caf\ufffd is closed.")),
    ("invisible", conversation("Say safe.", "It is\u200b safe\u202e here.")),
    ("email", conversation("Whom do I ask?", "Ask the harbour master, jane.doe@harbour-office.org.")),
    ("phone", conversation("What is the number?", "Call +49 30 12345678 before noon.")),
    ("key", conversation("How do I log in?", "With sk-proj-abcdefghij0123456789ABCDEF of course.")),
    ("open_code", conversation("Print one.", "Run this:\n```python\nprint(1)")),
    ("duplicate", GOOD[3]),
    ("leakage", conversation("Is the tide high?", "Yes, since noon.")),
    ("unanswered", {"messages": [*conversation("Is it late?", "It is past nine.")["messages"], {"role": "user", "content": "And now?"}]}),
    ("near_duplicate", conversation("Where did it go on its way to the north?", LONG)),
    ("near", conversation("Where did it go on its way to the north?", LONG + " So it was.")),
    ("language", conversation("And the ferry?", "Die Fähre kommt jeden Abend langsam in den kleinen Hafen zurück, und alle warten am Ufer.")),
    *(("truncated", conversation(f"Tell me of the {word}.", (f"The old {word} sails along the coast in the wind and " * 9)[:199] + "x"))
      for word in ("barge", "canoe", "liner", "prahu")),
]  # fmt: skip
HELD_OUT = {**conversation("Is the tide high?", "Yes, since noon."), "heldout": True}
# Lines that cannot be used: the kind, and the line as it stands in the file
UNUSABLE: list[tuple[str, str]] = [
    ("order", json.dumps({"messages": [{"role": "user", "content": "One"}, {"role": "user", "content": "more"}, {"role": "assistant", "content": "Aye."}]})),
    ("empty", json.dumps(conversation("Anything?", "  "))),
    ("role", json.dumps({"messages": [{"role": "narrator", "content": "It was night."}, {"role": "assistant", "content": "Aye."}]})),
    ("answer", json.dumps({"messages": [{"role": "user", "content": "Alone?"}]})),
    ("json", '{"messages": [{"role": "user", "content": "Hi"}'),
    ("keys", '{"messages": [], "messages": []}'),
    ("number", '{"messages": [], "weight": NaN}'),
]  # fmt: skip
ROWS_OUT = len(UNUSABLE)
ROWS_READY = len(GOOD) + len(FAULTS) + 1


def faulty_file() -> str:
    usable = [json.dumps(row, ensure_ascii=False) for row in (*GOOD, *(row for _, row in FAULTS), HELD_OUT)]
    return "\n".join([*usable[:5], *(line for _, line in UNUSABLE), *usable[5:]]) + "\n"
