import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from voxloom.analysis import Evaluation, MaskRule, evaluate
from voxloom.errors import ConfigError, DataError, MissingDataError, PairingError
from voxloom.seeding import rng_for
from voxloom.sources.write import write_image

GLYPH = np.zeros((16, 14), dtype=np.float32)  # an F: no flip, no turn and no transposition of it is itself
GLYPH[2:14, 3] = 1
GLYPH[2, 3:12] = 1
GLYPH[7, 3:9] = 1


def save(folder: Path, **images: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        tifffile.imwrite(folder / f"{name}.tif", image)
    return folder


def noisy(image: np.ndarray, key: str, strength: float = 0.1) -> np.ndarray:
    return (image + strength * rng_for(0, key).normal(size=image.shape)).astype(np.float32)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return save(tmp_path / "target", **{name: noisy(GLYPH, name) for name in "abc"})


def failures(found: Evaluation) -> dict[str, str]:
    return {failure.name: failure.reason for failure in found.failures}


def test_images_against_themselves(target: Path) -> None:
    found = evaluate(target, target)
    assert len(found.rows) == 3
    for metric, value in {"psnr": np.inf, "ssim": 1, "mae": 0, "dice": 1, "iou": 1}.items():
        assert found.values(metric).tolist() == [value] * 3
        if f"{metric}_masked" in found.rows[0].values:
            assert found.values(f"{metric}_masked").tolist() == [value] * 3
    assert not found.failures
    assert not any(found.unmatched.values())


@pytest.mark.parametrize("turned", [GLYPH[::-1], GLYPH[:, ::-1], GLYPH[::-1, ::-1]])
def test_a_flipped_prediction_is_wrong(tmp_path: Path, turned: np.ndarray) -> None:
    found = evaluate(save(tmp_path / "p", a=turned), save(tmp_path / "t", a=GLYPH), data_range=1)
    assert found.values("iou")[0] < 0.5
    assert found.values("psnr")[0] < 12


def test_values_are_those_of_the_definitions(tmp_path: Path) -> None:
    prediction = GLYPH + np.float32(0.25)
    found = evaluate(
        save(tmp_path / "p", a=prediction),
        save(tmp_path / "t", a=GLYPH),
        data_range=2,
        mask=MaskRule(threshold=0.5),
    )
    assert found.values("mae")[0] == pytest.approx(0.25)
    assert found.values("psnr")[0] == pytest.approx(20 * np.log10(2 / 0.25))
    assert found.values("psnr_masked")[0] == pytest.approx(20 * np.log10(2 / 0.25))
    assert found.values("dice")[0] == found.values("iou")[0] == 1


def test_the_foreground_is_the_targets(tmp_path: Path) -> None:
    prediction = np.where(GLYPH > 0, GLYPH, np.float32(0.5))
    found = evaluate(save(tmp_path / "p", a=prediction), save(tmp_path / "t", a=GLYPH), data_range=1)
    assert found.values("mae_masked")[0] == 0
    assert found.values("mae")[0] > 0
    assert found.values("iou")[0] == pytest.approx(GLYPH.mean())


def test_an_empty_foreground_has_no_masked_values(tmp_path: Path) -> None:
    blank = np.zeros((16, 16), np.float32)
    found = evaluate(save(tmp_path / "p", a=blank), save(tmp_path / "t", a=blank), data_range=1)
    assert np.isnan(found.values("psnr_masked")).all()
    assert found.values("dice").tolist() == [1]


@pytest.mark.parametrize(("dtype", "span"), [("uint8", 255), ("uint16", 65535)])
def test_the_range_of_an_integer_type(tmp_path: Path, dtype: str, span: int) -> None:
    targets = save(tmp_path / "t", a=(GLYPH * span).astype(dtype))
    found = evaluate(save(tmp_path / "p", a=GLYPH * 200), targets)
    assert found.data_range == span
    assert dtype in found.data_range_origin


def test_the_range_of_floats_is_that_of_all_targets(tmp_path: Path) -> None:
    targets = save(tmp_path / "t", a=GLYPH, b=GLYPH * 5 - 1, unpaired=GLYPH - 3)
    found = evaluate(save(tmp_path / "p", a=GLYPH, b=GLYPH), targets)
    assert found.data_range == 7
    assert "maximum 4 minus minimum -3 of 3 targets" in found.data_range_origin


def test_a_narrow_use_of_an_integer_type_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    masks = save(tmp_path / "t", a=GLYPH.astype(np.uint8))
    with caplog.at_level(logging.WARNING, logger="voxloom"):
        evaluate(masks, masks)
    assert "from 0 to 1" in caplog.text
    assert "--data-range" in caplog.text


def test_ranges_that_cannot_be_found(tmp_path: Path, target: Path) -> None:
    mixed = save(tmp_path / "mixed", a=GLYPH, b=GLYPH.astype(np.uint8))
    with pytest.raises(ConfigError, match=r"float32, uint8.*--data-range"):
        evaluate(mixed, mixed)
    flat = save(tmp_path / "flat", a=GLYPH * 0)
    with pytest.raises(ConfigError, match="one value"):
        evaluate(flat, flat)
    for bad in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="positive"):
            evaluate(target, target, data_range=bad)


def test_what_cannot_be_measured_is_counted_with_its_reason(tmp_path: Path, target: Path) -> None:
    predictions = save(tmp_path / "p", a=GLYPH, b=GLYPH[:-1], c=GLYPH, d=GLYPH)
    (predictions / "c.tif").write_bytes((predictions / "c.tif").read_bytes()[:200])
    hole = GLYPH.copy()
    hole[3, 3] = np.nan
    save(target, d=hole, e=GLYPH)
    found = evaluate(predictions, target, data_range=1)
    assert [row.name for row in found.rows] == ["a"]
    reasons = failures(found)
    assert list(reasons) == ["b", "c", "d"]
    assert "15 x 14" in reasons["b"]
    assert "16 x 14" in reasons["b"]
    assert "c.tif" in reasons["c"]
    assert "NaN" in reasons["d"]
    assert [failure.method for failure in found.failures] == ["prediction", "prediction", "target"]
    assert found.unmatched == {"only in target": ("e",), "only in prediction": ()}


def test_an_image_too_small_for_ssim_is_a_failure(tmp_path: Path) -> None:
    predictions = save(tmp_path / "p", a=GLYPH, small=GLYPH[:10])
    targets = save(tmp_path / "t", a=GLYPH, small=GLYPH[:10])
    assert "11" in failures(evaluate(predictions, targets))["small"]


def test_nothing_could_be_measured(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 1 images.*a: .*15 x 14"):
        evaluate(save(tmp_path / "p", a=GLYPH[:-1]), save(tmp_path / "t", a=GLYPH))


def test_names_are_paired_and_never_positions(tmp_path: Path, target: Path) -> None:
    predictions = save(tmp_path / "p", x=GLYPH, y=GLYPH, z=GLYPH)
    with pytest.raises(PairingError, match=r"3 images in .*such as x.*such as a"):
        evaluate(predictions, target)


def test_suffixes_do_not_matter(tmp_path: Path, target: Path) -> None:
    predictions = tmp_path / "p"
    write_image(predictions / "b.TIFF", GLYPH)
    assert [row.name for row in evaluate(predictions, target).rows] == ["b"]


def test_missing_folders(tmp_path: Path, target: Path) -> None:
    with pytest.raises(MissingDataError, match="nowhere"):
        evaluate(tmp_path / "nowhere", target)
    with pytest.raises(MissingDataError, match="nowhere"):
        evaluate(target, target, baselines={"copy": tmp_path / "nowhere"})


def test_baselines_are_measured_on_the_same_images(tmp_path: Path, target: Path) -> None:
    predictions = save(tmp_path / "p", a=GLYPH, b=GLYPH[:-1], c=GLYPH)
    condition = save(tmp_path / "condition", a=GLYPH * 0, b=GLYPH, x=GLYPH)
    found = evaluate(predictions, target, baselines={"copy": condition}, data_range=1)
    assert found.methods == ["prediction", "copy"]
    assert [(row.method, row.name) for row in found.rows] == [
        ("prediction", "a"),
        ("prediction", "c"),
        ("copy", "a"),
    ]
    assert found.values("psnr", "copy")[0] < found.values("psnr")[0]
    assert found.unmatched["missing in copy"] == ("c",)


def test_nested_folders_of_a_reconstruction(tmp_path: Path) -> None:
    for role in ("original", "prediction"):
        for folder in ("edente", "dente"):
            write_image(tmp_path / role / folder / "a.tif", GLYPH)
    found = evaluate(tmp_path / "prediction", tmp_path / "original")
    assert [row.name for row in found.rows] == ["dente/a", "edente/a"]
