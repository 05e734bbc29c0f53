"""Faces with the names of older systems: adapters over voxloom, without logic of their own.

``python -m voxloom.compat old_script.py [arguments]`` runs a script of PTI-LDM-VAE, of CellMap-Data or
of the Dataset Conversion Library as it is. In a notebook, ``import voxloom.compat.aliases`` makes
``pti_ldm_vae`` mean `voxloom.compat.pti_ldm_vae` and ``cellmap_data`` `voxloom.compat.cellmap_data`; the
names of the other are in `voxloom.compat.dataset_conversion`. Nothing else of voxloom imports this
package.
"""
