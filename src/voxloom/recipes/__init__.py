"""Shipped configurations; `voxloom init` copies them."""
