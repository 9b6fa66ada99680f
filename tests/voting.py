"""Closed votes without a chat worker: comparisons whose answers and order are as a test wants them."""

from collections.abc import Sequence

from studio import votes
from studio.folders import new_id
from studio.records import BlindComparison
from studio.studio import Studio

NAMES = {None: "The small one", "pirate": "Pirate", "judge": "Judge", "third": "Third"}


def voted(
    studio: Studio,
    choice: str,
    columns: Sequence[str | None] = (None, "pirate"),
    question: str = "hello",
    answers: Sequence[str] | None = None,
    person: str = "local",
    on: str | None = None,
    base_model: str = "small",
    **more,
) -> str:
    """A vote with the names shown, on a new comparison or (`on`) on one that is there. Returns the comparison's id."""
    id = on or new_id()
    if on is None:
        texts = answers or [f"{NAMES[column]} says hello" for column in columns]
        turn = {
            "key": "k",
            "question": question,
            "answers": [{"text": text, "stopped_by": "end", "proof": {}} for text in texts],
        }
        sides = [{"adapter": column, "name": NAMES[column], "sha256": "0" * 64} for column in columns]
        made = BlindComparison(
            id=id,
            owner="local",
            team=True,
            base_model=base_model,
            settings={"system": None},
            columns=sides,
            turns=[turn],
        )
        for name, value in more.items():
            setattr(made, name, value)
        with studio.database.write() as session:
            session.add(made)
    votes.cast(studio, id, choice, person)
    votes.reveal(studio, id, person)
    return id
