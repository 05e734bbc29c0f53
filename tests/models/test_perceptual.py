import pytest
import torch

from voxloom.errors import CheckpointError, MissingDataError, SchemaError
from voxloom.models import PerceptualConfig
from voxloom.models.perceptual import squeezenet_features, vgg_features


def images(seed, channels=1):
    return torch.randn(2, channels, 48, 48, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = squeezenet_features().state_dict(prefix="features.")
    tensors["classifier.1.weight"] = torch.zeros(10, 512, 1, 1)  # as in torchvision's file
    torch.save(tensors, path)
    return path


def test_names_and_sizes_are_those_of_torchvision():
    squeeze = squeezenet_features().state_dict(prefix="features.")
    assert squeeze["features.3.expand3x3.weight"].shape == (64, 16, 3, 3)
    assert squeeze["features.12.squeeze.bias"].shape == (64,)
    with torch.device("meta"):
        vgg = vgg_features().state_dict(prefix="features.")
    assert vgg["features.28.weight"].shape == (512, 512, 3, 3)
    assert len(vgg) == 26


def test_distance_is_zero_for_equals_and_grows_with_the_difference(squeezenet):
    distance = PerceptualConfig(weights=squeezenet).build()
    a, b = images(0), images(1)
    assert distance(a, a).tolist() == [0, 0]
    near, far = distance(a, a + 0.05 * b), distance(a, a + b)
    assert near.shape == (2,)
    assert bool((near > 0).all())
    assert bool((near < far).all())
    torch.testing.assert_close(distance(a, b), distance(b, a))
    torch.testing.assert_close(distance(a, b), distance(a.repeat(1, 3, 1, 1), b.repeat(1, 3, 1, 1)))


def test_of_volumes_it_is_the_mean_over_planes(squeezenet):
    distance = PerceptualConfig(weights=squeezenet).build()
    planes = [images(seed) for seed in range(4)]
    volumes = torch.stack(planes[:2], dim=2), torch.stack(planes[2:], dim=2)
    expected = (distance(planes[0], planes[2]) + distance(planes[1], planes[3])) / 2
    torch.testing.assert_close(distance(*volumes), expected)


def test_gradients_reach_the_image_alone_and_stay_finite_on_black(squeezenet):
    distance = PerceptualConfig(weights=squeezenet).build()
    image = torch.zeros(1, 1, 32, 32, requires_grad=True)
    distance(image, images(0)[:1, :, :32, :32]).sum().backward()
    assert bool(image.grad.isfinite().all())
    assert bool(image.grad.any())
    assert all(not p.requires_grad for p in distance.parameters())


def test_layers_can_be_weighted(squeezenet, tmp_path):
    a, b = images(0), images(1)
    alike = PerceptualConfig(weights=squeezenet).build()
    widths = [64, 128, 256, 384, 384, 512, 512]
    path = tmp_path / "squeeze.pth"
    torch.save({f"lin{i}.model.1.weight": torch.full((1, w, 1, 1), 0.5) for i, w in enumerate(widths)}, path)
    weighted = PerceptualConfig(weights=squeezenet, linear=path).build()
    torch.testing.assert_close(weighted(a, b), alike(a, b) / 2)
    torch.save({"lin0.model.1.weight": torch.ones(1, 64, 1, 1)}, path)
    with pytest.raises(CheckpointError, match="LPIPS weights for this backbone"):
        PerceptualConfig(weights=squeezenet, linear=path).build()


def test_a_missing_file_is_never_downloaded(tmp_path):
    with pytest.raises(MissingDataError, match=r"never downloads.*default losses need none"):
        PerceptualConfig(weights=tmp_path / "none.pth").build()


def test_weights_of_another_network_are_refused(squeezenet):
    with pytest.raises(CheckpointError, match="does not hold the weights of vgg16"):
        PerceptualConfig(weights=squeezenet, backbone="vgg16").build()


def test_images_must_be_alike(squeezenet):
    distance = PerceptualConfig(weights=squeezenet).build()
    with pytest.raises(SchemaError, match="same shape"):
        distance(images(0), images(0)[..., :20])
    with pytest.raises(SchemaError, match="1 or 3"):
        distance(images(0, channels=2), images(1, channels=2))
