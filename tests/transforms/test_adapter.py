import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from voxloom.errors import SchemaError
from voxloom.transforms import Augment, ChannelsFirst, ForegroundNormalize, MinMaxNormalize, Resize, on_array

IMAGE = np.arange(48, dtype=np.uint16).reshape(1, 6, 8)


def chain(*steps):
    """What torchvision.transforms.Compose does."""

    def run(x):
        for step in steps:
            x = step(x)
        return x

    return run


def test_in_a_chain_of_callables():
    run = chain(on_array(Resize(size=(3, 4))), on_array(MinMaxNormalize()), torch.from_numpy)
    result = run(IMAGE)
    assert result.shape == (1, 3, 4)
    assert (result.min(), result.max()) == (0, 1)


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (3, 6, 8)])
def test_axes_and_type_of_container_come_back(shape):
    array = np.broadcast_to(IMAGE.reshape(6, 8), shape).copy()
    flip = on_array(Augment(flip_x=1, flip_y=0, right_angle=0, affine=0, elastic=0))
    np.testing.assert_array_equal(flip(array), array[..., ::-1])
    tensor = flip(torch.from_numpy(array.astype(np.float32)))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), array[..., ::-1])


COLOURS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def test_channels_that_stand_last_are_said_or_refused():
    expected = COLOURS.reshape(3, 4, 4, 4, 3).mean((1, 3))
    result = on_array(Resize(size=(3, 4)), axes="yxc")(COLOURS)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert on_array(Resize(size=(3, 4)), axes="cyx")(COLOURS).shape == (12, 3, 4)
    for array in (COLOURS, COLOURS[..., :1], torch.from_numpy(COLOURS)):
        with pytest.raises(SchemaError, match=r"looks like channels last. Say on_array\(..., axes='yxc'\)"):
            on_array(Resize(size=(3, 4)))(array)
    with pytest.raises(SchemaError, match=r"shape \(12, 16\): expected one axis a letter of 'yxc'"):
        on_array(Resize(size=(3, 4)), axes="yxc")(COLOURS[..., 0])


def test_pil_images_come_in_and_arrays_go_on():
    step = on_array(Resize(size=(3, 4)), axes="cyx")  # images know their axes
    colours = step(Image.fromarray(COLOURS))
    np.testing.assert_allclose(colours, COLOURS.reshape(3, 4, 4, 4, 3).mean((1, 3)), rtol=1e-5)
    grey = step(Image.fromarray(COLOURS[..., 0]))
    np.testing.assert_array_equal(grey, colours[..., 0])
    palette = Image.fromarray(COLOURS // 128 * 255).convert("P", palette=Image.Palette.ADAPTIVE)
    assert step(palette).shape == (3, 4, 3)
    run = chain(on_array(ChannelsFirst()), on_array(Resize(size=(3, 4))), torch.from_numpy)
    assert (run(Image.fromarray(COLOURS)).shape, run(Image.fromarray(COLOURS[..., 0])).shape) == (
        (3, 3, 4),
        (1, 3, 4),
    )


def test_it_shows_what_it_does():
    assert repr(on_array(MinMaxNormalize())).startswith("on_array(MinMaxNormalize(")


def test_fields_that_a_transform_adds_are_left_out():
    assert on_array(ForegroundNormalize(keep_mask=True))(IMAGE).shape == IMAGE.shape


def test_other_shapes_are_refused():
    with pytest.raises(SchemaError, match=r"shape \(2, 1, 6, 8\)"):
        on_array(MinMaxNormalize())(np.zeros((2, 1, 6, 8)))


def test_calls_differ_and_the_seed_repeats_them():
    first, second, other = (on_array(Augment(), seed=seed) for seed in (1, 1, 2))
    draws = [[step(IMAGE).tobytes() for _ in range(4)] for step in (first, second, other)]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) > 1
    assert pickle.loads(pickle.dumps(first))(IMAGE).shape == IMAGE.shape


class Repeated(Dataset):
    def __init__(self):
        self.step = on_array(Augment(affine=1))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.step(torch.from_numpy(IMAGE.astype(np.float32)))


def test_workers_and_epochs_draw_differently():
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(Repeated(), batch_size=None, num_workers=2, generator=generator)
    drawn = [image.numpy().tobytes() for _ in range(2) for image in loader]
    assert len(set(drawn)) == 8


def test_neither_torch_nor_torchvision_is_imported_for_intensities():
    code = (
        "import sys, numpy as np; from voxloom.transforms import MinMaxNormalize, on_array;"
        "on_array(MinMaxNormalize())(np.zeros((2, 2)));"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
