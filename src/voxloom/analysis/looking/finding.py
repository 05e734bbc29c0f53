"""What will hurt later: one finding of a check, with why it hurts and what helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from voxloom.component import Component

__all__ = ["ADVICE", "KEYS", "Finding", "found"]

KEYS = 8
"""Keys that a finding names."""

Severity = Literal["warning", "note"]

ADVICE: Mapping[str, tuple[Severity, str, str]] = {
    "sizes": (
        "note",
        "A batch needs one size, so images are stretched or padded to patch_size: what was equally large "
        "may not stay so.",
        "Choose preparation.fit (stretch or pad) on purpose, or convert with --size and --mode.",
    ),
    "types": (
        "warning",
        "One scaling does not suit all: what is white in one file is black in another.",
        "Bring the files to one type and scale before, or normalise each image (preparation.normalization).",
    ),
    "channels": (
        "warning",
        "Images of different channels cannot stand in one batch.",
        "Convert with --mode L or --mode RGB, or leave the odd ones out.",
    ),
    "depths": (
        "warning",
        "Some files use a small part of their type's range, as cameras of 8, 10 or 12 bit give: a fixed "
        "scaling makes those nearly black.",
        "Scale those files first, or normalise each image (percentile or minmax).",
    ),
    "stretched": (
        "warning",
        "These are 8-bit values in a larger type: the finer steps were lost before, and what is compared "
        "with images of full depth looks better or worse than it is.",
        "Go back to the original files, or store them as uint8: it is smaller, and nothing is lost.",
    ),
    "constant": (
        "warning",
        "There is nothing to learn in them, and a normalisation divides by nearly 0.",
        "Leave them out (convert --on-error skip does not: take them out of the folder or the split).",
    ),
    "sparse": (
        "note",
        "A loss over all pixels is small where only the ground is predicted, and 1st and 99th percentile "
        "are one value.",
        "Check that nothing is missing. Normalise by minmax or a range, and not by percentiles.",
    ),
    "whole numbers": (
        "note",
        "These are counts, or 8-bit values in a float: with 8 bits the finer steps were lost before.",
        "Nothing, where they are counts; else go back to the original files.",
    ),
    "nonfinite": (
        "warning",
        "One NaN makes the loss NaN, and the training stops.",
        "Find where they come from, or read them as 0: read.nonfinite=zero in the configuration.",
    ),
    "saturated": (
        "note",
        "What was brighter than the detector's maximum is lost, and no model can bring it back.",
        "Expose less at the microscope; check that an export did not clip.",
    ),
    "labels as images": (
        "warning",
        "As an image its values are interpolated and normalised, so that ids become numbers between them.",
        "Name it as a mask: --mask NAME=FOLDER, or a folder called masks or labels.",
    ),
    "interpolated mask": (
        "warning",
        "A mask that was resized smoothly or saved as JPEG has classes at its edges that do not exist.",
        "Threshold it again, and resize masks with the nearest pixel.",
    ),
    "unknown ids": (
        "warning",
        "A class number without a class fails in the loss, or is learned as something else.",
        "Name all classes, or map the number to one of them (255 often means not annotated).",
    ),
    "negative ids": (
        "warning",
        "An id below 0 is no class: it fails in the loss, or is learned as something else.",
        "Map it to a class, or to the number that says not annotated (255).",
    ),
    "colours in masks": (
        "warning",
        "Colours are no ids: a class is one number a pixel.",
        "Write each colour as the number of its class, for instance as an image with a palette.",
    ),
    "gaps in ids": (
        "note",
        "Numbers of classes are counted from 0: a gap is a class that never occurs.",
        "Name all classes, or number them without gaps.",
    ),
    "classes of parts": (
        "warning",
        "A class that only one part has is learned and never tested, or tested and never learned.",
        "Split each class by itself, or leave the class out.",
    ),
    "empty masks": (
        "note",
        "Samples without foreground teach the background alone; many of them make everything background.",
        "Check that nothing was left unannotated; draw balanced patches.",
    ),
    "empty classes": (
        "warning",
        "A class without samples is never learned, yet it counts in the means.",
        "Take the class out, or add samples of it.",
    ),
    "imbalance": (
        "warning",
        "The rare class hardly counts in the loss, and is not predicted.",
        "Balance the drawing, weigh the classes, or gather more of the rare one.",
    ),
    "pixel imbalance": (
        "note",
        "Classes with few pixels hardly count in a cross entropy.",
        "Use Dice with the cross entropy, class weights, or a balanced drawing.",
    ),
    "no partner": (
        "warning",
        "They cannot be learned from, and names that differ often mean that other pairs are wrong as well.",
        "Rename the files so that stems are equal; unmatched='drop' leaves them out.",
    ),
    "not matched": (
        "warning",
        "A model that learns from pairs that do not belong together learns the average of all.",
        "Look at the sheet. Check how files were numbered and sorted on each side.",
    ),
    "partly matched": (
        "warning",
        "Some partners may be exchanged, or the two sides show little in common: pairs that are wrong teach "
        "a model the average of all.",
        "Look at the pairs that are named, and at the sheet. Check how files were numbered and sorted.",
    ),
    "not aligned": (
        "warning",
        "Each pixel of one side is compared with the same pixel of the other, which shows another place.",
        "Look at the sheet. Mirror, turn or shift one side back before you convert; check the export.",
    ),
    "sizes of fields": (
        "warning",
        "Fields of one sample are brought to one size, each by itself: they no longer lie on each other, or "
        "an augmentation refuses them.",
        "Export both sides in one size, or crop the larger one to the place of the smaller.",
    ),
    "too few pairs": (
        "note",
        "Whether the partners belong together cannot be told from so few pairs.",
        "Look at the sheet, or at more of them (--samples, --all).",
    ),
    "odd pairs": (
        "note",
        "Most pairs match their partner, these match another as well or better: partners may be exchanged.",
        "Look at these pairs by eye.",
    ),
    "leak": (
        "warning",
        "What is tested was seen in training: the measured quality is too good.",
        "Keep what belongs together (a patient, a stack, a field) in one part: group in the "
        "configuration, or a split_file.",
    ),
    "not compared": (
        "warning",
        "Copies of what is learned may be among what is tested, and nobody has looked.",
        "Give each part the same names of fields: --image NAME=FOLDER, or folders of the same names.",
    ),
    "duplicates": (
        "note",
        "Copies count several times, and a split at random puts them on both sides.",
        "Remove the copies, or keep them in one part with group.",
    ),
    "alike": (
        "note",
        "Neighbouring slices or frames are nearly equal: a split at random puts them on both sides.",
        "Split by patient, stack or block (group, split_file).",
    ),
    "ranges of parts": (
        "warning",
        "The parts do not look alike: what is measured is the change of brightness too.",
        "Check exposure and export of both parts, or normalise each image.",
    ),
    "ranges of fields": (
        "note",
        "Both sides are normalised in the same way; errors are in the target's units.",
        "Set a normalisation that suits both, for instance percentile.",
    ),
    "spacing": (
        "warning",
        "The same structure has another size in pixels: a model sees two scales as one.",
        "Resample the images to one spacing before; of volumes, state the spacing of a patch in the "
        "configuration.",
    ),
    "unreadable": (
        "warning",
        "A training stops at the first of them.",
        "Repair or remove them; on_error='skip' leaves them out and lists them.",
    ),
    "empty labels": (
        "note",
        "A label volume without labels teaches the background alone, everywhere.",
        "Check that it is the right one, or leave it out of the split.",
    ),
    "shifted levels": (
        "warning",
        "Viewers, and networks that read this level, see it shifted against the finest.",
        "Write the level again by means of voxels, or add its translation to the metadata.",
    ),
    "no unit": (
        "warning",
        "How large a voxel is cannot be told, so that no network can be trained at a given spacing.",
        "State it: --unit micrometer where the numbers are right, else --spacing Z Y X in nm.",
    ),
    "apart": (
        "warning",
        "Labels and image do not cover the same place in the world: patches hold one without the other.",
        "Check translation and unit of both.",
    ),
}
"""Of each check: how bad, why it hurts, and what helps."""


class Finding(Component):
    """One thing that a check has found.

    Examples
    --------
    >>> found("sizes", "3 sizes", ["a", "b"], field="image").text
    'image: 3 sizes (a, b)'
    """

    name: str
    """Of the check, a key of ADVICE."""
    severity: Severity
    """``warning`` where it will hurt, ``note`` where it may be meant."""
    field: str
    """The field it is about; empty for several."""
    what: str
    """What was found, with numbers."""
    number: int
    """How many samples, or pairs, it is about."""
    keys: tuple[str, ...]
    """The first of them."""
    why: str
    """Why it hurts."""
    cure: str
    """What helps."""
    numbers: Mapping[str, float] = {}
    """What was measured."""
    pairs: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = ()
    """Of pairs the part and the key of both, in the order of `keys`."""

    @property
    def text(self) -> str:
        """What was found, of which field, with the first keys."""
        left = self.number - len(self.keys)
        named = ", ".join(self.keys) + (f" and {left} more" if self.keys and left > 0 else "")
        about = f"{self.field}: " if self.field else ""
        return f"{about}{self.what}" + (f" ({named})" if named else "")


def found(
    name: str,
    what: str,
    keys: Sequence[str] = (),
    *,
    field: str = "",
    number: int | None = None,
    numbers: Mapping[str, float] | None = None,
) -> Finding:
    """Return a finding, with the advice of its name.

    Parameters
    ----------
    name
        A key of ADVICE.
    what
        What was found.
    keys
        Samples that it is about; the first are kept.
    field
        The field it is about.
    number
        How many samples, where not all keys are given.
    numbers
        What was measured.
    """
    severity, why, cure = ADVICE[name]
    return Finding(
        name=name,
        severity=severity,
        field=field,
        what=what,
        number=len(keys) if number is None else number,
        keys=tuple(keys[:KEYS]),
        why=why,
        cure=cure,
        numbers=dict(numbers or {}),
    )
