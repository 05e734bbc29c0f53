"""Arguments of the older library that mean nothing here."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["report_unused"]

logger = logging.getLogger(__name__)


def report_unused(whose: str, **given: Any) -> None:
    """Say which of some arguments were given, since they have no use."""
    if names := sorted(name for name, value in given.items() if value is not None):
        logger.info("%s has no use for %s any more", whose, ", ".join(names))
