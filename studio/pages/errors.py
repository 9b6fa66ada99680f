"""Errors on a page: a StudioError exactly as written, anything else with a number under which the log has the rest."""

import functools
import inspect
import logging
import secrets
from collections.abc import Callable
from html import escape

import gradio as gr

from studio.errors import DiskFull, StudioError
from studio.storage import is_full

SHOWN_SECONDS = 20
log = logging.getLogger(__name__)


def as_toast(error: Exception) -> gr.Error:
    """What Gradio shows at the edge of the page. It takes HTML, so the words are escaped."""
    if isinstance(error, OSError) and is_full(error):
        error = DiskFull()
    if isinstance(error, StudioError):
        return gr.Error(
            f"{escape(error.problem)}<br>{escape(error.fix)}",
            title="That did not work",
            duration=SHOWN_SECONDS,
            print_exception=False,
        )
    reference = secrets.token_hex(4)
    log.error("Unexpected error, reference %s", reference, exc_info=error)
    return gr.Error(
        f"This is a mistake in the studio, not yours. The log has the details under the reference {reference}.",
        title="Something went wrong",
        duration=SHOWN_SECONDS,
        print_exception=False,
    )


def plainly(handler: Callable) -> Callable:
    """`handler` for an event, with its errors in words. Works for functions and for generators."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def shown(*args, **kwargs):
            try:
                yield from handler(*args, **kwargs)
            except gr.Error:
                raise
            except Exception as error:
                raise as_toast(error) from error

    else:

        @functools.wraps(handler)
        def shown(*args, **kwargs):
            try:
                return handler(*args, **kwargs)
            except gr.Error:
                raise
            except Exception as error:
                raise as_toast(error) from error

    return shown
