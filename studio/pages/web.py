"""All pages as one Gradio app, mounted beside the studio's own routes."""

import warnings
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from starlette.types import ASGIApp

from studio import pages
from studio.pages.head import PageHead, static_files
from studio.pages.shell import shell
from studio.pages.theme import THEME
from studio.studio import Studio

CLEAN_UPLOADS_EVERY, UPLOADS_LIVE = 3600, 6 * 3600  # seconds; what a page did not take over at once is of no use later
FAVICON = Path(__file__).parent / "assets" / "mark.svg"


def build_pages(studio: Studio) -> gr.Blocks:
    """Every page under its own address, each in the studio's shell."""
    home, *others = pages.PAGES
    with gr.Blocks(
        title="LoRA Studio", analytics_enabled=False, delete_cache=(CLEAN_UPLOADS_EVERY, UPLOADS_LIVE)
    ) as demo:
        draw(studio, home)
    for page in others:
        with demo.route(page.title, page.path, show_in_navbar=page.in_navigation):
            draw(studio, page)
    # Gradio looks whether a file that a browser names was really uploaded only when this is set, and its own launch() alone
    # sets it: without it, any path in an event's data is copied into the uploads, or handed to the handler as it is.
    demo.has_launched = True
    return demo


def draw(studio: Studio, page: pages.Page) -> None:
    shell(studio, page)
    page.build(studio)


def mount(app: FastAPI, studio: Studio) -> ASGIApp:
    """`app` with the pages at / and our assets. Routes of our own must be on `app` before: Gradio answers what is left."""
    app.mount(*static_files())
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # "SSR mode is not supported for mounted multi-page apps": we never ask for it
        gr.mount_gradio_app(
            app,
            build_pages(studio),
            path="/",
            theme=THEME,
            footer_links=[],
            run_history=False,
            allowed_paths=[],
            show_error=False,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            max_file_size=f"{studio.settings.max_upload_mb}mb",
            favicon_path=str(FAVICON),
        )
    return PageHead(app)
