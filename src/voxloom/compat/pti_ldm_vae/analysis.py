"""The older latent-space analysis: not there yet."""

from voxloom.errors import CompatError

raise CompatError(
    "pti_ldm_vae.analysis has no adapter in this version of voxloom: latent-space analysis comes with a "
    "later one. Images are compared by `voxloom evaluate --pred DIR --target DIR`; for the rest keep the "
    "original installed and run those scripts without voxloom.compat."
)
