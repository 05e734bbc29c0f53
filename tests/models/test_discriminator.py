import pytest
import torch

from voxloom.errors import SchemaError
from voxloom.models import DiscriminatorConfig


def test_reference_size():
    with torch.device("meta"):
        critic = DiscriminatorConfig().build()
    assert sum(p.numel() for p in critic.parameters()) == 692_769


def test_features_end_in_plain_logits():
    critic = DiscriminatorConfig(channels=4).build()
    x = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    features = critic(x)
    assert [f.shape[1] for f in features] == [4, 8, 16, 32, 1]
    assert bool((features[-1] < 0).any())
    assert isinstance(list(critic.net.children())[-1][-1], torch.nn.Conv2d)  # no activation after it


def test_logits_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert DiscriminatorConfig(channels=4).build()(torch.zeros(1, 1, 32, 32))[-1].dtype == torch.float32


@pytest.mark.parametrize("num_layers_d", [1, 2, 3])
def test_the_smallest_image_is_known(num_layers_d):
    critic = DiscriminatorConfig(channels=4, num_layers_d=num_layers_d).build()
    least = 3 * 2**num_layers_d
    assert critic(torch.zeros(1, 1, least, least))[-1].shape[-2:] == (1, 1)
    with pytest.raises(SchemaError, match=f"at least {least}"):
        critic(torch.zeros(1, 1, least - 1, least))


def test_normalisation_of_instances_keeps_images_apart():
    critic = DiscriminatorConfig(channels=4, num_layers_d=2).build()
    x = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(critic(x)[-1][:1], critic(x[:1])[-1], atol=1e-5, rtol=1e-4)
