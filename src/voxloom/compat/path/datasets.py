"""Stands on the path of scripts run by ``python -m voxloom.compat``, for their worker processes.

It makes the Dataset Conversion Library's modules below ``datasets`` known, and gives the name back to
whatever has it without us.
"""

from voxloom.compat.module_paths import stand_aside

stand_aside("datasets")  # puts the other one in the place of this module
