"""From any source to a store: planned in shards, written by any number of processes, resumable."""

from voxloom.conversion.convert import convert
from voxloom.conversion.report import Report
from voxloom.conversion.settings import Conversion
from voxloom.conversion.verify import Verification, verify

__all__ = ["Conversion", "Report", "Verification", "convert", "verify"]
