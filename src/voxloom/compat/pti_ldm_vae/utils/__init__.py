"""The older helpers: processes and pictures."""

from voxloom.compat.pti_ldm_vae.utils.distributed import setup_ddp
from voxloom.compat.pti_ldm_vae.utils.visualization import (
    normalize_batch_for_display,
    normalize_image_to_uint8,
    visualize_2d_image,
    visualize_one_slice_in_3d_image,
)

__all__ = [
    "normalize_batch_for_display",
    "normalize_image_to_uint8",
    "setup_ddp",
    "visualize_2d_image",
    "visualize_one_slice_in_3d_image",
]
