"""Stands on the path of scripts run by ``python -m voxloom.compat``, for their worker processes.

A worker that is spawned imports the script anew, in a process where nothing was renamed yet; it
inherits the path, finds this file, and is renamed too.
"""

from voxloom.compat.aliases import install

install("cellmap_data")  # puts the adapters in the place of this module
