"""``voxloom init``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

__all__ = ["command"]


@click.command(name="init")
@click.argument("folder", type=click.Path(), default="config")
def command(folder: str) -> None:
    """Write the shipped configurations into FOLDER (default: config); files there are kept."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for recipe in sorted(files("voxloom.recipes").iterdir(), key=lambda entry: entry.name):
        if recipe.name.startswith("_"):
            continue
        path = target / recipe.name
        if path.exists():
            click.echo(f"kept     {path}")
            continue
        path.write_bytes(recipe.read_bytes())
        click.echo(f"written  {path}")
