"""A chat worker without a model: the real sockets, lines and endings, and answers that depend on the last message.

"crash" dies in mid-answer, "slowly" writes until it is cancelled, "refuse" cannot be answered, "anonymously" is answered
without names, by one column after the other; anything else is repeated by every column, word by word.
"""

import os
import signal
import time

from jobs.workers.chat import ChatWorker, main
from jobs.workers.questions import Inbox, Question
from studio.errors import BadInput
from studio.folders import BaseModelFolder


class Repeating:
    """Stands in for the model."""

    def __init__(self, folder: BaseModelFolder, inbox: Inbox):
        self.folder, self.inbox = folder, inbox

    def load(self) -> None:
        with (self.folder.path / "starts").open("a") as starts:
            starts.write(f"{os.getpid()}\n")
        if (self.folder.path / "broken").exists():
            print("Traceback: the weights are broken", flush=True)
            os._exit(3)
        if (self.folder.path / "unknown").exists():
            raise BadInput("This base model is of an unknown kind.", "Choose another one.")

    def run(self) -> None:
        while True:
            self.write_answers(self.inbox.take(wait=True))

    def write_answers(self, question: Question) -> None:
        asked = question.columns[0]["messages"][-1]["content"]
        if asked == "refuse":
            question.fail(BadInput("This cannot be answered.", "Ask something else.", "messages"))
            return
        if asked == "slowly":
            self.write_until_cancelled(question)
        if asked.startswith("anonymously"):
            self.write_in_turn(question)
            return
        texts = [self.words(question, column) for column in question.columns]
        for pieces in zip(*texts, strict=True):
            for column, piece in enumerate(pieces):
                question.tell({"column": column, "text": piece})
            if asked == "crash":
                time.sleep(0.1)  # so that the first words are on their way
                os.kill(os.getpid(), signal.SIGKILL)
        for column, pieces in enumerate(texts):
            self.end(question, column, len(pieces))
        question.end()

    def end(self, question: Question, column: int, tokens: int) -> None:
        adapter = (question.columns[column].get("adapter") or {}).get("id")
        asked = question.columns[column]
        stopped_by = "length" if asked["max_new_tokens"] <= tokens else "end"
        numbers = {
            "prompt_tokens": 11,
            "tokens": tokens,
            "seconds": 0.5,
            "first_token_seconds": 0.1,
            "tokens_per_second": 4.0,
        }
        proof = {"adapter": adapter, "sha256": f"hash of {adapter}", "self_check": "equal"}
        question.tell({"column": column, "done": True, **numbers, "stopped_by": stopped_by, "proof": proof})

    def write_in_turn(self, question: Question) -> None:
        """As models that cannot share a batch, each with a length of its own and a notice about the adapters."""
        for place, column in enumerate(question.columns):
            words = ["word "] * (5 + len((column.get("adapter") or {}).get("id", "")))
            if column.get("adapter"):
                question.tell({"column": place, "notice": "A conversation was cut."})
            for word in words:
                question.tell({"column": place, "text": word})
            self.end(question, place, len(words))
        question.end()

    def words(self, question: Question, column: dict) -> list[str]:
        who = named(column)
        spoken = " / ".join(f"{message['role']}: {message['content']}" for message in column["messages"])
        return [who, f" heard at {column['temperature']}", f" <{spoken}>"]

    def write_until_cancelled(self, question: Question) -> None:
        while not question.cancelled.is_set():
            question.tell({"column": 0, "text": "tick "})
            time.sleep(0.01)
        (self.folder.path / "cancelled").touch()


def named(column: dict) -> str:
    if mix := column.get("mix"):
        return " + ".join(f"{part['weight']:g} {part['name']}" for part in mix)
    return column["adapter"]["name"] if column["adapter"] else "base"


class StubWorker(ChatWorker):
    def answering(self) -> Repeating:
        return Repeating(self.folder, self.inbox)


if __name__ == "__main__":
    main(StubWorker)
