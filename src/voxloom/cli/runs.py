"""voxloom runs: what was trained below a folder, and how it stands."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]

_STATES = ("finished", "interrupted", "failed", "running", "stalled", "unknown", "unreadable")


@click.command("runs")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"), metavar="DIR")
@click.option(
    "--sort", "key", metavar="COLUMN", help="Column to sort by, for instance best, started or samples."
)
@click.option("--reverse", is_flag=True, help="Turn the order round.")
@click.option(
    "--status", "states", multiple=True, type=click.Choice(_STATES), help="Only runs that stand so."
)
@click.option("--json", "as_data", is_flag=True, help="Print JSON, with all columns.")
def command(folder: Path, key: str | None, reverse: bool, states: tuple[str, ...], as_data: bool) -> None:
    """List the runs in a folder and below it.

    A run that calls itself running and has written nothing for long is marked "stalled?": its process
    may have been killed, which no file can tell for certain. Columns to sort by: name, task, status,
    started, seconds, step, steps, best, samples, device.
    """
    from voxloom.analysis.run_list import as_json, found_runs, run_table, sorted_runs

    runs = found_runs(folder)
    if key is not None:
        runs = sorted_runs(runs, key)
    if reverse:
        runs.reverse()
    chosen = [run for run in runs if not states or run.status.strip("?") in states]
    if as_data:
        click.echo(as_json(chosen))
    elif chosen:
        click.echo(run_table(chosen))
    else:
        what = (
            f"none of {len(runs)} runs in {folder} is {' or '.join(states)}"
            if runs
            else f"no runs in {folder}"
        )
        click.echo(f"{what[0].upper()}{what[1:]}.")
