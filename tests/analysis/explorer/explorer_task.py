"""What a process of a test computes; it can be imported there by its name."""

import os
import time

from voxloom.errors import DataError


def task(request, progress):
    """Do what the request says: (word, value)."""
    word, value = request
    if word == "pid":
        return os.getpid()
    if word == "steps":  # ends when it is told to
        for step in range(1000):
            progress(step / 1000, f"step {step}")
            time.sleep(value)
    if word == "deaf":  # never asks
        progress(0.5, "deaf")
        time.sleep(value)
    if word == "die":
        os._exit(value)
    if word == "refuse":
        raise DataError("latent 7 holds NaN. Encode it again.")
    if word == "break":
        raise ZeroDivisionError("division of nothing")
    return value
