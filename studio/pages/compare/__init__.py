"""The Compare page: who answers, what is said, how it is drawn, and what stays hidden until the vote."""

from studio.pages.compare.page import PAGE

__all__ = ["PAGE"]
