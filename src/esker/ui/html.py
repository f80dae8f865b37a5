"""HTML that cannot be broken out of, for pages; notebooks use the same (core.html)."""

from esker.core.html import Html, join, tag, text

__all__ = ["Html", "join", "tag", "text"]
