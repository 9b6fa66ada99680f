"""Whether what a row holds can be learned from: the check of its kind."""

from studio.formats.conversation import check
from studio.formats.format import Conversation, Document, Found, Pair
from studio.formats.pairs import check_pair
from studio.formats.text import check_document

CHECKS = {Conversation: check, Document: check_document, Pair: check_pair}


def checked(found: Found) -> Found:
    """The same, in the one form that is trained on. Raises RowFault where nothing can be learned from it."""
    return CHECKS[type(found)](found)
