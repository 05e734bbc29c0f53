"""``voxloom demo``: the commands of a full run, one after the other, on shipped images."""

from __future__ import annotations

import shlex
import time
from importlib.resources import as_file, files
from pathlib import Path

import click

__all__ = ["command"]

STEPS = ("vae", "ldm", "predict", "evaluate", "report")
COMPARED = {"pred": "prediction", "target": "target", "condition": "condition"}
LATENTS = """How the made slices lie to the true ones, as latents on a page in the browser:
  voxloom encode --checkpoint {ldm} --image target={made}/target --image prediction={made}/prediction \\
    -o {latents}
  voxloom explore {latents} --checkpoint {ldm}"""
NEXT = """On your own pairs, two folders of slices with equal names, DATA/TARGET and DATA/CONDITION:
  voxloom init config
  voxloom train vae -c config/vae_config.json --data-dir DATA --set target=TARGET --set condition=CONDITION
  voxloom train ldm -e config/environment_tif.json -c config/config_train_16g_cond.json \\
    --data-dir DATA --set target=TARGET --set condition=CONDITION
  voxloom predict ldm --checkpoint runs/ldm_baseline"""


@click.command(name="demo")
@click.argument("folder", required=False, metavar="")
@click.option(
    "-o",
    "--output",
    default="demo_output",
    show_default=True,
    type=click.Path(),
    help="Folder for everything.",
)
@click.option(
    "--until", type=click.Choice(STEPS), default="report", show_default=True, help="Last step to run."
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier demo in that folder.")
def command(folder: str | None, output: str, until: str, overwrite: bool) -> None:
    """Train a VAE and a latent model on shipped brain slices, translate unseen ones, measure, show.

    Each step is the command that is printed before it; on two CPU cores all of it takes three to
    six minutes. An interrupted demo goes on where it was when it is called again.
    """
    if folder is not None:
        raise click.UsageError(
            f"unexpected {folder!r}. Name the folder with -o: voxloom demo -o {shlex.quote(folder)}"
        )
    began = time.monotonic()
    with (
        as_file(files("voxloom.demo") / "pairs") as pairs,
        as_file(files("voxloom.recipes") / "demo.json") as recipe,
    ):
        for line in _lines(Path(output), pairs, recipe, overwrite)[: STEPS.index(until) + 1]:
            _run(line)
    click.echo(f"\n{until} done in {time.monotonic() - began:.0f} s.")
    if until == "report":
        click.echo(f"The report: {(Path(output) / 'report.html').resolve()}")
        click.echo(_next(Path(output)))
        click.echo(NEXT)


def _next(output: Path) -> str:
    folders = {"ldm": output / "ldm", "made": output / "predictions", "latents": output / "encoded"}
    return LATENTS.format(**{name: shlex.quote(str(folder)) for name, folder in folders.items()})


def _lines(output: Path, pairs: Path, recipe: Path, overwrite: bool) -> list[list[str]]:
    data = ["-c", str(recipe), "--data-dir", str(pairs)]
    again = ["--overwrite"] if overwrite else ["--resume"]
    vae, ldm = str(output / "vae"), str(output / "ldm")
    made, judged, report = output / "predictions", str(output / "evaluation"), str(output / "report.html")
    first_stage = f"autoencoder_path={output / 'vae' / 'checkpoints' / 'best.pt'}"
    compared = [f"--{name}={made / folder}" for name, folder in COMPARED.items()]
    return [
        ["train", "vae", *data, "--run-dir", vae, *again],
        ["train", "ldm", *data, "--run-dir", ldm, "--set", first_stage, *again],
        ["predict", "ldm", "--checkpoint", ldm, "-o", str(made), "--overwrite"],
        ["evaluate", *compared, "--data-range", "255", "-o", judged, "--overwrite"],
        ["report", vae, ldm, f"--predictions={made}", f"--evaluation={judged}", "-o", report, "--overwrite"],
    ]


def _run(line: list[str]) -> None:
    from voxloom.cli import cli

    click.secho(f"\n$ voxloom {shlex.join(line)}", bold=True)
    cli.main(line, standalone_mode=False)
