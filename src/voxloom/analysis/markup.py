"""HTML that cannot be injected into: text is escaped unless it was made here."""

from __future__ import annotations

from html import escape

__all__ = ["Markup", "element", "joined"]

_VOID = {"br", "hr", "img"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str) -> Markup:
    """Return an element; plain children and all attributes are escaped, None is left out.

    Parameters
    ----------
    tag
        The element's name.
    *children
        Text, or `Markup` that stands as it is.
    **attributes
        A trailing underscore is taken off, for words of Python: ``class_``.

    Examples
    --------
    >>> element("p", "a < b & c", element("b", "d"), class_="x")
    '<p class="x">a &lt; b &amp; c<b>d</b></p>'
    """
    given = "".join(f' {name.rstrip("_")}="{escape(value)}"' for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{joined(*children)}</{tag}>")


def joined(*children: str | None) -> Markup:
    """Return the children one after the other, text escaped.

    Examples
    --------
    >>> joined("<", element("hr"), None)
    '&lt;<hr>'
    """
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children if c is not None))
