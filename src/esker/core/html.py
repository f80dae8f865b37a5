"""HTML that cannot be broken out of: what is not Html already is escaped."""

from __future__ import annotations

from html import escape
from typing import Any


class Html(str):
    """Text that is HTML; only `tag`, `text` and `join` make it."""

    __slots__ = ()


def text(value: Any) -> Html:
    """`value` as it is read, whatever is in it.

    >>> text("<script>"), text(Html("<b>"))
    ('&lt;script&gt;', '<b>')
    """
    return value if isinstance(value, Html) else Html(escape(str(value), quote=True))


def join(*children: Any) -> Html:
    """One piece of HTML after the other; None is nothing."""
    return Html("".join(text(child) for child in children if child is not None))


def tag(name: str, *children: Any, **attributes: Any) -> Html:
    """An element; attributes that are None are left out, `class_` is class, `text_anchor` is text-anchor.

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{shown}>{join(*children)}</{name}>")
