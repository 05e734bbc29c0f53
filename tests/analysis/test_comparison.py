import math
from pathlib import Path
from typing import Any

from voxloom.analysis.comparison import (
    config_differences,
    families,
    flat,
    has_validated,
    leaked_between,
    reached,
    share_data,
)
from voxloom.analysis.records import RunRecord


def run(task: str = "vae", rows: Any = (), **split: tuple[str, ...]) -> RunRecord:
    return RunRecord(Path(task), {"task": task}, {}, tuple(rows), (), split)


def test_only_keys_that_differ_are_told() -> None:
    first = {"seed": 1, "run_dir": "a", "train": {"lr": 0.1, "loss": {"name": "l1"}}, "only": None}
    second = {"seed": 1, "run_dir": "b", "train": {"lr": 0.1, "loss": {"name": "l2"}}, "other": [1]}
    third = {**first, "seed": 2}
    assert config_differences([first, second, third]) == {
        "seed": [1, 1, 2],
        "train.loss.name": ["l1", "l2", "l1"],
        "only": [None, None, None],  # absent is another thing than None
        "other": [None, [1], None],
    }
    assert config_differences([first, first]) == config_differences([first]) == config_differences([]) == {}


def test_a_table_against_a_value_is_a_difference() -> None:
    assert config_differences([{"a": {"b": 1}}, {"a": 3}]) == {"a.b": [1, None], "a": [None, 3]}
    assert flat({"a": {}}) == {"a": {}}


def test_runs_are_compared_with_their_kind() -> None:
    runs = {
        "v": run("vae"),
        "l": run("ldm"),
        "r": run("regression"),
        "s": run("segmentation"),
        "w": run("vae"),
    }
    found = families(runs)
    assert [(family.title, list(family.runs), family.is_mixed) for family in found] == [
        ("Autoencoders", ["v", "w"], False),
        ("Translators", ["l", "r"], True),
    ]


def test_last_and_best_of_validations() -> None:
    rows = [
        {"step": 1, "split": "train", "loss": 0.0},
        *(
            {"step": s, "split": "validation", "loss": loss, "psnr": 30 - loss, "kl": loss}
            for s, loss in ((2, 3.0), (4, 1.0), (6, 2.0))
        ),
        {"step": 8, "split": "validation", "loss": math.nan, "note": "text"},
    ]
    found = reached(run(rows=rows))
    assert (found["loss"].last, found["loss"].best, found["loss"].step) == (2, 1, 4)
    assert (found["psnr"].last, found["psnr"].best) == (28, 29)
    assert found["kl"].last == 2
    assert math.isnan(found["kl"].best)
    assert set(found) == {"loss", "psnr", "kl"}


def test_before_the_first_validation_the_training_tells() -> None:
    early = run(rows=[{"step": 1, "loss": 2.0}, {"loss": 1.0}])
    assert not has_validated(early)
    assert reached(early) == reached(run()) == {}
    assert reached(early, "train")["loss"].best == 1.0


def test_samples_that_one_trains_on_and_the_other_validates() -> None:
    first = run(train=("a", "b", "c"), validation=("d", "e"))
    second = run(train=("a", "d"), validation=("b", "e"))
    assert leaked_between(first, second) == leaked_between(second, first) == 2
    assert leaked_between(first, first) == leaked_between(first, run()) == 0


def test_data_are_shared_where_their_folders_are() -> None:
    def of(**config: Any) -> RunRecord:
        return RunRecord(Path("run"), {}, config, (), ())

    here = of(data_base_dir="data/mri", val_dir=None)
    assert share_data(here, of(data_base_dir="data/mri/"))
    assert share_data(of(), of())
    assert not share_data(here, of(data_base_dir="data/ct"))
    assert not share_data(here, of(data_base_dir="data/mri", val_dir="data/val"))
