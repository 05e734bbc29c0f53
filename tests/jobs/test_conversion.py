import numpy as np
import pytest
from PIL import Image

from voxloom.errors import ConfigError, Interrupted, MissingDataError, OutputExistsError
from voxloom.jobs.conversion import ConvertOptions, convert_data, progress_of


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(5):
        Image.fromarray(np.full((6, 5, 3), 40 * i, np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def test_a_slip_is_told_before_the_source_is_listed(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'size'"):
        convert_data(tmp_path / "nothing", tmp_path / "s", {"siez": (1, 1)}, options=ConvertOptions())
    with pytest.raises(MissingDataError, match="no such file"):
        convert_data(tmp_path / "nothing", tmp_path / "s", {}, options=ConvertOptions())


def test_progress_is_told(photos, tmp_path):
    told = []
    report = convert_data(
        photos, tmp_path / "s", {"samples_per_shard": 2}, options=ConvertOptions(layout="flat"),
        progress=lambda *numbers: told.append(numbers),
    )  # fmt: skip
    assert told[-1][:2] == (5, 5)
    assert told[-1][2] > 0
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert report.store().keys == ["0.png", "1.png", "2.png", "3.png", "4.png"]


@pytest.mark.parametrize("where", ["store", "."])
def test_folders_that_are_named_stay_apart_from_the_store(photos, where):
    options = ConvertOptions(images={"image": photos})
    with pytest.raises(OutputExistsError):
        convert_data(None, photos / where, {}, options=options)


def test_a_stop_says_what_is_kept(photos, tmp_path):
    def stop(done, total, size):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"stopped: 1 of 3 shards of .* are finished and kept"):
        convert_data(
            photos, tmp_path / "s", {"samples_per_shard": 2}, options=ConvertOptions(), progress=stop
        )
    assert str(progress_of(tmp_path / "s")) == "1 of 3 shards"
    done = convert_data(
        photos, tmp_path / "s", {"samples_per_shard": 2}, options=ConvertOptions(resume=True)
    )  # fmt: skip
    assert (done.samples, done.finished) == (5, True)


def test_the_progress_of_what_has_no_plan(tmp_path):
    assert str(progress_of(tmp_path)) == "0 shards"
