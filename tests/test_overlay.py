import numpy as np

from voxloom.overlay import legend, overlaid

RED, GREEN = (255, 0, 0), (0, 255, 0)
IMAGE = np.linspace(0, 1, 24).reshape(4, 6)


def test_where_no_class_is_the_image_stays_grey():
    drawn = overlaid(IMAGE, np.zeros((2, 4, 6), bool), [RED, GREEN], window=(0, 1))
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, np.repeat((IMAGE * 255).round()[..., None], 3, -1))


def test_a_class_is_drawn_where_it_is_and_nowhere_else():
    mask = np.zeros((1, 4, 6), bool)
    mask[0, 1, 2] = True
    drawn = overlaid(IMAGE, mask, [RED], window=(0, 1), opacity=1)
    assert drawn[1, 2].tolist() == [255, 0, 0]
    assert (drawn[..., 0] == drawn[..., 1]).sum() == 23


def test_what_is_unknown_is_darker():
    dimmed = np.zeros((4, 6), bool)
    dimmed[:, 3:] = True
    plain, dark = (
        overlaid(IMAGE + 1, np.zeros((0, 4, 6)), [], window=(0, 2), dimmed=d).astype(int)
        for d in (None, dimmed)
    )
    np.testing.assert_array_equal(plain[:, :3], dark[:, :3])
    assert (dark[:, 3:] < plain[:, 3:]).all()


def test_a_legend_names_each_class_in_its_colour_and_takes_the_rows_it_needs():
    one = legend(["mito", "er"], [RED, GREEN], 300)
    assert one.shape == (22, 300, 3)
    for colour in (RED, GREEN):
        assert ((one == colour).all(-1)).sum() >= 144
    many = legend([f"class {k}" for k in range(12)], [RED] * 12, 200)
    assert many.shape[0] > 22
    assert many.shape[1] == 200
