"""voxloom evaluate: measure predictions against targets."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("evaluate")
@click.option("--pred", type=_FOLDER, required=True, help="Folder of predictions.")
@click.option("--target", type=_FOLDER, required=True, help="Folder of targets, paired by file name.")
@click.option("--condition", type=_FOLDER, help="Folder of conditions: copying them is the baseline 'copy'.")
@click.option(
    "--baseline", multiple=True, metavar="NAME=DIR", help="Another folder to measure beside; repeatable."
)
@click.option(
    "--output", "-o", type=_FOLDER, help="Folder for the results. Default: 'evaluation' beside --pred."
)
@click.option(
    "--data-range", type=float, help="Largest minus smallest possible value. Default: from the targets."
)
@click.option("--mask-threshold", type=float, help="Foreground is value > threshold, on both sides.")
@click.option(
    "--mask-background", type=float, default=0.0, show_default=True, help="Value of the background."
)
@click.option(
    "--mask-tolerance", type=click.FloatRange(min=0), default=0.01, show_default=True,
    help="Without a threshold: how far a value differs from the background, as a share of the data range.",
)  # fmt: skip
@click.option(
    "--group", metavar="REGEX", help="Finds the patient in a name: intervals are then over patients."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier evaluation.")
def command(
    pred: Path,
    target: Path,
    condition: Path | None,
    baseline: tuple[str, ...],
    output: Path | None,
    data_range: float | None,
    mask_threshold: float | None,
    mask_background: float,
    mask_tolerance: float,
    group: str | None,
    seed: int,
    overwrite: bool,
) -> None:
    """Measure a folder of predictions against a folder of targets.

    Prints a table and writes per_image.csv and summary.json. PSNR and SSIM use one fixed data range,
    Dice and IoU one mask rule for both sides; both are stated. Nothing is written into data folders.
    """
    from voxloom.analysis import Bootstrap, MaskRule, check_output, evaluate, format_table

    baselines = {"copy": condition} if condition else {}
    baselines |= dict(map(_named, baseline))
    output = output or pred.parent / "evaluation"
    check_output(output, [pred, target, *baselines.values()], overwrite=overwrite)
    mask = MaskRule(threshold=mask_threshold, background=mask_background, tolerance=mask_tolerance)
    found = evaluate(pred, target, baselines=baselines, data_range=data_range, mask=mask)
    summary = found.save(output, bootstrap=Bootstrap(seed=seed, group=group), overwrite=overwrite)
    click.echo(format_table(summary))
    click.echo(
        f"{len(found.values('psnr'))} images. Data range {found.data_range:g} ({found.data_range_origin})."
    )
    click.echo(f"Foreground: {summary['mask']}.")
    for failure in found.failures:
        click.echo(f"Not measured: {failure.name} ({failure.method}): {failure.reason}", err=True)
    for where, names in found.unmatched.items():
        if names:
            shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
            click.echo(f"{len(names)} {where}: {shown}", err=True)
    click.echo(f"Results: {output}")


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder) or name in ("prediction", "target"):
        raise click.BadParameter(
            f"{text!r}: expected NAME=DIR with a name other than prediction and target.",
            param_hint="--baseline",
        )
    return name, Path(folder)
