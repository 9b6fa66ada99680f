"""Home: what trains now, what needs attention, and the way from an idea to an adapter."""

from studio.pages.page import Page
from studio.pages.shell import head
from studio.studio import Studio


def build(studio: Studio) -> None:
    head("Home")


PAGE = Page(title="Home", path="", build=build, icon="home", order=10)
