"""What surrounds every page: navigation, the device's memory, the queue, the theme switch; and the head of a page."""

from html import escape

import gradio as gr

from studio import pages
from studio.devices import DeviceFacts, planned_device
from studio.overview import open_runs
from studio.pages import parts, words
from studio.pages.events import every, on_load, plain
from studio.studio import Studio

REFRESH_SECONDS = 5
MARK = (
    '<svg width="28" height="28" viewBox="0 0 28 28" aria-hidden="true"><rect width="28" height="28" rx="7" fill="var(--ls-accent)"/>'
    '<rect x="6" y="6" width="11" height="11" rx="2" fill="var(--ls-card)" opacity=".55"/>'
    '<rect x="19" y="6" width="3.2" height="11" rx="1.2" fill="var(--ls-card)"/><rect x="6" y="19" width="11" height="3.2" rx="1.2" fill="var(--ls-card)"/></svg>'
)


def shell(studio: Studio, page: pages.Page) -> None:
    """The rail around `page`, kept up to date while it is open."""
    rail = gr.HTML(rail_html(page), elem_classes=["ls-shell"], js_on_load=None, apply_default_css=False)

    def refresh() -> str:
        return rail_html(page, *open_runs(studio), device_html(planned_device(studio)))

    on_load(refresh, rail)
    every(REFRESH_SECONDS, refresh, rail)


def head(title: str, subtitle: str = "", actions_html: str = "", crumb_html: str = "") -> gr.HTML:
    """The head of a page, as a part of it. Its words may be somebody's: they are escaped."""
    return plain(head_html(title, subtitle, actions_html, crumb_html))


def head_html(title: str, subtitle: str = "", actions_html: str = "", crumb_html: str = "", chip_html: str = "") -> str:
    crumb = f'<div class="ls-crumb">{crumb_html}</div>' if crumb_html else ""
    under = f"<p>{escape(subtitle)}</p>" if subtitle else ""
    after = f'<div class="a">{actions_html}</div>' if actions_html else ""
    return f'<header class="ls-head" id="content" tabindex="-1"><div>{crumb}<h1>{parts.text(title)}{chip_html}</h1>{under}</div>{after}</header>'


def rail_html(page: pages.Page, live: int = 0, waiting: int = 0, device: str = "") -> str:
    links = "".join(_link(other, page, live + waiting) for other in pages.PAGES if other.in_navigation)
    theme = f'<button type="button" class="ls-theme {{}}" aria-label="Switch between light and dark">{parts.icon("theme")}</button>'
    return (
        '<a class="ls-skip" href="#content">Skip to the content</a>'
        f'<aside class="ls-rail"><a class="ls-brand" href="/" aria-label="LoRA Studio, home">{MARK}<span>LoRA Studio</span></a>'
        f'<nav aria-label="Main">{links}</nav>{device or _no_device()}{_queue(live, waiting, theme.format(""))}</aside>{theme.format("ls-top")}'
    )


def _link(other: pages.Page, page: pages.Page, open_runs: int) -> str:
    current = ' aria-current="page"' if other.path == (page.path if page.in_navigation else page.within) else ""
    badge = (
        f'<span class="n">{open_runs}<span class="ls-hidden"> open</span></span>'
        if other.path == "runs" and open_runs
        else ""
    )
    return f'<a class="i" href="{other.address}" title="{escape(other.title)}"{current}>{parts.icon(other.icon)}<span>{escape(other.title)}</span>{badge}</a>'


def _queue(live: int, waiting: int, theme_html: str) -> str:
    said = [f"{words.count(live)} training"] * bool(live) + [f"{words.count(waiting)} waiting"] * bool(waiting)
    return f'<div class="ls-user"><span>{" · ".join(said) or "Nothing is training"}</span>{theme_html}</div>'


def _no_device() -> str:
    return '<div class="ls-device" aria-busy="true"><b>Device</b>Looking…</div>'


def device_html(device: DeviceFacts) -> str:
    used = max(device.memory_bytes - device.free_bytes, 0)
    share = used / device.memory_bytes if device.memory_bytes else 0
    return (
        f'<div class="ls-device"><b>{parts.text(device.name)}</b>{words.memory(used)} of {words.memory(device.memory_bytes)} in use'
        f'<div class="ls-meter" role="img" aria-label="{share:.0%} of its memory in use"><i style="width:{share:.1%}"></i></div></div>'
    )
