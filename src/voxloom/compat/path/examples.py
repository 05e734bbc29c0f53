"""Stands on the path of scripts run by ``python -m voxloom.compat``, for their worker processes.

It makes the Dataset Conversion Library's modules below ``examples`` known, and gives the name back to
whatever has it without us.
"""

from voxloom.compat.module_paths import stand_aside

stand_aside("examples")  # puts the other one in the place of this module
