"""The documented names of PTI-LDM-VAE, over voxloom: `analysis`, `data`, `models`, `utils`.

What behaves differently, and why, stands on the page "coming from PTI-LDM-VAE".
"""
