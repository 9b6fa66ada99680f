"""What is learned from a batch, one file each: the answers (or the tokens of a text), and which of two answers is preferred."""

from jobs.workers.objectives.answers import Answers
from jobs.workers.objectives.objective import Objective
from jobs.workers.objectives.preference import Preference

OBJECTIVES: dict[str, type[Objective]] = {"answers": Answers, "text": Answers, "preference": Preference}

__all__ = ["OBJECTIVES", "Objective"]
