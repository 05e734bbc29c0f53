"""Faces with the names of older systems: adapters over voxloom, without logic of their own.

``python -m voxloom.compat old_script.py [arguments]`` runs a script that imports ``pti_ldm_vae``
as it is; ``import voxloom.compat.aliases`` makes that name mean `voxloom.compat.pti_ldm_vae` in a
notebook. Nothing else of voxloom imports this package.
"""
