import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from voxloom.conversion import convert
from voxloom.errors import CheckpointError, DataError, SchemaError
from voxloom.inference import EncodedImages, GreyImages, ImageEncoder, Trained
from voxloom.models import AutoencoderConfig, build_model
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source, Subset
from voxloom.sources import ReadPolicy
from voxloom.sources.files import class_folder, flat_folder, paired_folders
from voxloom.transforms import Preparation


@pytest.fixture
def encoder(autoencoder):
    return ImageEncoder(autoencoder, Preparation(), (16, 16), ReadPolicy())


@pytest.fixture
def source(shared):
    return paired_folders({"target": shared / "edente", "condition": shared / "dente"})


def bare(encoder, folder):
    """What the network makes of each image alone."""
    images = GreyImages(flat_folder(folder))
    transform = encoder.preparation.transform(encoder.size)
    made = [torch.from_numpy(transform(image, None)["image"][None]) for image in images]
    return [tuple(array[0] for array in encoder(image)) for image in made]


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (2, 0), (16, 0), (3, 1)])
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
def test_each_image_gives_what_the_network_makes_of_it(encoder, source, shared, batch_size, num_workers):
    images = EncodedImages(source, encoder, batch_size=batch_size, num_workers=num_workers)
    assert list(images.schema) == ["target_mu", "target_sigma", "condition_mu", "condition_sigma"]
    assert all(field.shape == encoder.shape == (2, 8, 8) for field in images.schema.values())
    expected = {"target": bare(encoder, shared / "edente"), "condition": bare(encoder, shared / "dente")}
    assert list(images.keys) == ["p0_00", "p0_01", "p1_02", "p1_03", "p2_04"]
    for index, sample in enumerate(images):
        for name, made in expected.items():
            assert np.allclose(sample[f"{name}_mu"], made[index][0], atol=1e-5)
            assert np.allclose(sample[f"{name}_sigma"], made[index][1], atol=1e-5)
        assert (sample["target_sigma"] > 0).all()
    images.close()


def test_where_the_reading_begins_changes_no_bit(encoder, source):
    order = [4, 0, 3, 3, 2, 1]
    images, whole = (EncodedImages(source, encoder, batch_size=2) for _ in range(2))
    straight = [dict(sample) for sample in whole]
    for index in order:
        found = images[index]
        assert all(np.array_equal(found[name], straight[index][name]) for name in found)
    again = pickle.loads(pickle.dumps(images))
    assert np.array_equal(again[3]["target_mu"], straight[3]["target_mu"])
    for each in (images, whole, again):
        each.close()
        each.close()  # twice is no harm


def test_classes_numbers_and_texts_are_carried_over_and_masks_are_not(encoder):
    class Patients(Source):
        schema = Schema(
            [
                Field(name="image", axes="yx", dtype="uint16"),
                Field(name="mask", kind="mask", axes="yx", dtype="uint8"),
                Field(name="label", kind="class", axes="", dtype="int64", shape=(), categories=("a", "b")),
                Field(name="age", kind="attribute", axes="", dtype="float32", shape=()),
                Field(name="note", kind="text", axes="", dtype="str"),
            ]
        )
        keys = ("x", "y", "z")

        def read(self, index):
            rng = np.random.default_rng(index)
            image = rng.integers(0, 2**16, (20, 24), np.uint16)
            told = {"label": np.array(index % 2), "age": np.array(30.5 + index, np.float32)}
            arrays = {
                "image": image,
                "mask": np.zeros((20, 24), np.uint8),
                **told,
                "note": np.array("é" * index),
            }
            return Sample(self.keys[index], self.schema, arrays)

    images = EncodedImages(Patients(), encoder)
    assert list(images.schema) == ["image_mu", "image_sigma", "label", "age", "note"]
    assert images.schema["label"].categories == ("a", "b")
    sample = images[2]
    assert (int(sample["label"]), float(sample["age"]), str(sample["note"])) == (0, 32.5, "éé")
    assert list(images.select("note", "label")[1]) == ["note", "label"]
    assert list(images.select("image_mu", "label")[1]) == ["image_mu", "label"]
    images.close()


def test_classes_alone_cost_no_encoding(tmp_path, encoder):
    for name in ("cat/1.png", "dog/2.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (20, 24), 9).save(tmp_path / name)
    images = EncodedImages(class_folder(tmp_path), encoder)
    (tmp_path / "cat" / "1.png").write_bytes(b"")
    assert [int(sample["label"]) for sample in images.select("label")] == [0, 1]


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (2, 0), (16, 0), (2, 1)])
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
def test_a_bad_image_condemns_itself_alone(data, tmp_path, encoder, batch_size, num_workers):
    (data / "dente" / "p0_01.tif").write_bytes(b"II*\0cut")
    source = flat_folder(data / "dente")
    images = EncodedImages(source, encoder, batch_size=batch_size, num_workers=num_workers)
    with pytest.raises(DataError, match="p0_01"):
        images[1]
    expected = bare_of(encoder, data, [0, 2, 3, 4])
    report = convert(images, tmp_path / "store", on_error="skip")
    assert [key for key, _ in report.skipped] == ["p0_01.tif"]
    store = report.store()
    assert np.allclose(store.column("image_mu"), expected, atol=1e-5)
    with pytest.raises(DataError, match="on_error='skip'"):
        convert(EncodedImages(source, encoder), tmp_path / "other")
    images.close()
    assert not multiprocessing.active_children()


def bare_of(encoder, data, rows):
    images = EncodedImages(Subset(flat_folder(data / "dente"), rows), encoder, batch_size=1)
    return np.stack([sample["image_mu"] for sample in images])


def test_what_decides_the_latents_decides_the_identity(data, encoder, another):
    source = flat_folder(data / "dente")

    def identity(encoder=encoder, source=source, **how):
        return EncodedImages(source, encoder, **how).provenance.identity

    first = identity()
    assert identity(batch_size=3, facts={"checkpoint": "elsewhere"}) == first
    fit = Preparation(fit="pad")
    others = [
        identity(ImageEncoder(another, Preparation(), (16, 16), ReadPolicy())),
        identity(ImageEncoder(encoder.autoencoder, fit, (16, 16), ReadPolicy())),
        identity(ImageEncoder(encoder.autoencoder, Preparation(), (16, 32), ReadPolicy())),
        identity(ImageEncoder(encoder.autoencoder, Preparation(), (16, 16), ReadPolicy(color="luma"))),
        identity(source=Subset(source, [0, 1])),
    ]
    path = data / "dente" / "p0_01.tif"
    path.write_bytes(path.read_bytes())  # the same at another time
    assert len({first, identity(), *others}) == 7


def test_images_are_read_as_one_channel_or_refused(tmp_path, encoder):
    Image.new("RGB", (20, 24), (255, 0, 0)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="3 channels"):
        GreyImages(flat_folder(tmp_path))[0]
    assert GreyImages(flat_folder(tmp_path), ReadPolicy(color="luma"))[0]["image"].max() == 76
    with pytest.raises(SchemaError, match=r"no field of images, but image_mu \(latent\)"):
        EncodedImages(EncodedImages(flat_folder(tmp_path), encoder), encoder)


def trained(model, task="vae", section="autoencoder_train", size=(16, 16)):
    return Trained(task, {"autoencoder": model} if model else {}, {}, {section: {"patch_size": list(size)}})


def test_which_checkpoints_encode(autoencoder):
    assert ImageEncoder.of(trained(autoencoder)).size == (16, 16)
    assert ImageEncoder.of(trained(autoencoder, "ldm", "diffusion_train", (16, 32))).shape == (2, 8, 16)
    small = {
        "channels": (8, 8),
        "num_res_blocks": 1,
        "norm_num_groups": 4,
        "with_encoder_nonlocal_attn": False,
    }
    for model, size, said in (
        (None, (16, 16), "has no autoencoder"),
        (
            build_model(AutoencoderConfig(**small, spatial_dims=3), seed=0),
            (8, 16, 16),
            r"volumes \(patches of 8",
        ),
        (autoencoder, (8, 16, 16), "autoencoder of volumes"),
        (build_model(AutoencoderConfig(**small, in_channels=3), seed=0), (16, 16), "3 channels: expected 1"),
    ):
        with pytest.raises(CheckpointError, match=said):
            ImageEncoder.of(trained(model, size=size))
    with pytest.raises(SchemaError, match="multiple"):
        ImageEncoder.of(trained(autoencoder, size=(16, 15)))
