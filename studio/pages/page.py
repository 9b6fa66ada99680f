"""What every page declares: its title, its address and the function that draws it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from studio.studio import Studio


@dataclass(frozen=True)
class Page:
    title: str
    path: str
    """Address without a slash: "models" is served at /models, "" at /."""
    build: Callable[["Studio"], None]
    """build(studio) runs inside the page's Blocks: parts from top to bottom, then every event."""
    icon: str = ""
    """Name of an icon in parts.ICONS, for the navigation."""
    in_navigation: bool = True
    order: int = 100
    """Place in the navigation, lowest first."""
    within: str = ""
    """Path of the page that is marked as current while this one is open, for pages outside the navigation."""

    @property
    def address(self) -> str:
        return f"/{self.path}"
