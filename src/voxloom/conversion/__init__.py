"""From any source to a store: planned in shards, written by any number of processes, resumable."""

from voxloom.conversion.convert import convert
from voxloom.conversion.report import Report
from voxloom.conversion.settings import Conversion

__all__ = ["Conversion", "Report", "convert"]
