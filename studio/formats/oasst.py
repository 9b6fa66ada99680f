"""OpenAssistant's trees: a prompt with ranked replies, each with replies of its own. The best-ranked path is the conversation."""

from typing import Any

from studio.formats.conversation import text_of
from studio.formats.format import Conversation, Format, Mapped, Row, RowFault

ROLES = {"prompter": "user", "assistant": "assistant"}
REPLIES = "replies"


def _root(row: Row) -> Row | None:
    """The first message of the tree, where the row is one: by itself, or below 'prompt'."""
    root = row if REPLIES in row else row.get("prompt")
    is_tree = isinstance(root, dict) and isinstance(root.get(REPLIES), list) and "text" in root and "role" in root
    return root if is_tree else None


def fits(row: Row) -> bool:
    return _root(row) is not None


def read(row: Row, _mapping: Mapped) -> Conversation:
    message = _root(row)
    if message is None:
        raise RowFault("tree", "The row is no tree of messages.", "Mend it, or drop the row.")
    found, others, passed = Conversation([]), 0, set()
    while message is not None and id(message) not in passed:
        passed.add(id(message))
        role = ROLES.get(str(message.get("role")), "")
        if not role:
            raise RowFault(
                "role",
                "A message of the tree is said neither by the prompter nor by the assistant.",
                "Mend it, or drop the row.",
            )
        found.messages.append({"role": role, "content": text_of(message.get("text"), "text")})
        replies = [reply for reply in message.get(REPLIES) or [] if isinstance(reply, dict)]
        others += max(0, len(replies) - 1)
        message = min(filter(_usable, replies), key=_rank, default=None)
    if len(found.messages) > 1 and found.messages[-1]["role"] == "user":
        found.messages.pop()  # a tree may end in questions that nobody answered
    if others:
        found.warnings.append(
            RowFault(
                "branches",
                f"{others} other {'reply was' if others == 1 else 'replies were'} left out, with what follows: of each fork the best-ranked is learned.",
                "Nothing, unless another path should be learned; write that one as messages.",
            )
        )
    return found


def _usable(message: Row) -> bool:
    return not message.get("deleted") and message.get("review_result") is not False


def _rank(message: Row) -> tuple[bool, Any]:
    rank = message.get("rank")
    is_number = isinstance(rank, int | float) and not isinstance(rank, bool)
    return (not is_number, rank if is_number else 0)


def mapping(columns: list[str]) -> dict[str, str]:
    name = next((name for name in ("prompt", REPLIES) if name in columns), None)
    return {"messages": name} if name else {}


FORMAT = Format(
    "oasst",
    "Trees of messages (OpenAssistant)",
    '{"prompt": {"text": "Hi", "role": "prompter", "replies": [{"text": "Hello!", "role": "assistant", "rank": 0, "replies": []}]}}',
    fits,
    read,
    mapping,
    frozenset(
        {
            "prompt",
            REPLIES,
            "message_tree_id",
            "tree_state",
            "message_id",
            "parent_id",
            "text",
            "role",
            "lang",
            "rank",
            "labels",
        }
        | {"review_count", "review_result", "deleted", "synthetic", "model_name", "emojis"}
    ),
    standing=7,
    sign="a message with replies",
)
