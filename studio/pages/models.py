"""Models: the base models on this machine, and how to add one."""

from studio.pages.page import Page
from studio.pages.shell import head
from studio.studio import Studio


def build(studio: Studio) -> None:
    head("Models")


PAGE = Page(title="Models", path="models", build=build, icon="model", order=20)
