"""The Suites page: the list, making a new one, one suite with its prompts, and how a run of it is drawn."""

from studio.pages.suites.page import PAGE

__all__ = ["PAGE"]
