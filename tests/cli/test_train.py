import json
import shutil

import pytest
import yaml

from voxloom.cli.train import KEYS, overrides_of
from voxloom.config import Config


def saved(folder):
    return Config.model_validate(json.loads((folder / "config.json").read_text()))


def test_options_beat_the_file_and_0_counts(train, tmp_path):
    done = train(
        "vae", "run", "--kl-weight", 0, "--seed", 0, "--num-workers", 0, "--cache-rate", 0, "--lr", "3e-3",
        "--max-epochs", 1, "--batch-size", 3, "--train-split", 0.5, "--subset-size", 8,
        "--data-source", "dente", "-g", 1, "--set", "autoencoder_train.adv_weight=0",
        "--set", "autoencoder_def.channels=[4, 8]",
    )  # fmt: skip
    assert done.code == 0, done.err
    config = saved(tmp_path / "run")
    found = config.autoencoder_train
    assert (found.kl_weight, found.lr, found.max_epochs, found.batch_size) == (0, 3e-3, 1, 3)
    assert (config.seed, config.num_workers, config.cache_rate, config.train_split) == (0, 0, 0, 0.5)
    assert (config.subset_size, config.data_source, found.adv_weight) == (8, "dente", 0)
    assert config.autoencoder_def.channels == (4, 8)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["samples"] == {"train": 4, "validation": 4}
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert [len(split[part]) for part in ("train", "validation")] == [4, 4]


def test_the_resolved_configuration_is_printed_and_saved(train, tmp_path):
    done = train("regression", "run", "--max-epochs", 1)
    text, _, rest = done.out.partition("\nfinished: ")
    printed = yaml.safe_load(text)
    config = saved(tmp_path / "run").model_dump(mode="json")
    assert printed == {name: config[name] for name in printed}
    assert printed["regression_train"]["max_epochs"] == 1
    assert "diffusion_def" not in printed  # of another task
    assert rest.startswith(str(tmp_path / "run"))
    assert "next: voxloom predict regression --checkpoint" in rest


def test_every_option_has_its_key():
    given = dict.fromkeys(KEYS, 0)
    overrides = overrides_of("ldm", given, ("sampling.steps=3", "val_dir=null", "target = a b "))
    assert overrides["diffusion_train.lr"] == overrides["diffusion_train.batch_size"] == 0
    assert overrides["autoencoder_train.kl_weight"] == 0
    assert (overrides["sampling.steps"], overrides["val_dir"], overrides["target"]) == (3, None, "a b")
    assert len(overrides) == len(KEYS) + 2
    assert overrides_of("ldm", dict.fromkeys(KEYS), ()) == {}


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_an_environment_and_a_configuration(call, recipe, tmp_path, suffix):
    lines = {"yaml": "{}: {}", "toml": "{} = {}"}[suffix]
    environment = tmp_path / f"environment.{suffix}"
    environment.write_text(lines.format("run_dir", f'"{tmp_path / "run"}"') + "\n" + lines.format("seed", 5))
    done = call("train", "regression", "-e", environment, "-c", recipe, "--max-epochs", 1)
    assert done.code == 0, done.err
    assert saved(tmp_path / "run").seed == 5


def test_statistics_of_the_data_are_told_at_the_start(train):
    log = train("vae", "run", "--max-epochs", 1).log
    for said in ("8 images of", "16 samples, 12 training, 4 validation", "1 x 24 x 20", "float32", "mean"):
        assert said in log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "autoencoder_train.batchsize=2"], "Did you mean 'batch_size'"),
        (["--batch-size", "0"], "autoencoder_train.batch_size: 0 is not allowed"),
        (["--train-split", "1.5"], "train_split: 1.5 is not allowed"),
        (["--data-source", "tooth"], "data_source 'tooth': expected 'edente', 'dente' or 'both'"),
        (["--set", "device=tpu"], "device 'tpu': expected cpu, cuda"),
        (["--set", "device=cuda:7"], "usable GPUs, none of number 7"),
        (["--data-dir", "nowhere"], "edente: no such folder, and no nowhere either"),
        (["--set", "target=jaws"], "jaws: no such folder. Folders beside it: dente, edente"),
        (["--set", "group=("], "regular expression"),
        (["--set", "autoencoder_train.patch_size=[15, 16]"], "expected multiples of 2"),
    ],
)
def test_what_cannot_be_trained_is_told_and_hinders_no_second_try(train, tmp_path, arguments, message):
    failed = train("vae", "run", *arguments)
    assert failed.code == 1
    assert message in failed.err
    assert "Traceback" not in failed.err
    again = train("vae", "run", "--max-epochs", 1)
    assert again.code == 0, again.err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


def test_a_run_is_never_put_among_the_data(train, pairs):
    failed = train("vae", "run", "--run-dir", pairs / "dente" / "run")
    assert failed.code == 1
    assert "lies within the data folder" in failed.err
    assert not (pairs / "dente" / "run").exists()


def test_stage_2_needs_a_first_stage(train, trained, tmp_path):
    for path, message in (
        (None, "autoencoder_path is not set: stage 2 needs a trained VAE"),
        (tmp_path / "nowhere.pt", "no checkpoint at"),
        (trained / "regression", "holds no autoencoder"),
        (trained / "regression" / "checkpoints" / "best.pt", "holds no 'autoencoder'"),
    ):
        failed = train("ldm", "run", "--set", f"autoencoder_path={'null' if path is None else path}")
        assert failed.code == 1
        assert message in failed.err


def test_stage_2_takes_its_first_stage_in_every_form(call, train, trained, tmp_path):
    exported = tmp_path / "vae.safetensors"
    assert call("export", trained / "vae", exported).code == 0
    losses = []
    for i, path in enumerate((trained / "vae", trained / "vae" / "checkpoints" / "best.pt", exported)):
        done = train("ldm", f"run{i}", "--max-epochs", 1, "--set", f"autoencoder_path={path}")
        assert done.code == 0, done.err
        losses.append(json.loads((tmp_path / f"run{i}" / "run.json").read_text())["best"])
        assert ("found in" in done.log) is bool(i)  # the cache knows the weights, not their file
    assert losses[0] == losses[1] == losses[2]
    assert "ceiling: the VAE's own reconstruction" in done.log
    assert "is low: translations will look blurred" in done.log


# -- runs that are there already --------------------------------------------------------------------


def test_a_run_that_exists_is_refused_resumed_or_replaced(train, tmp_path, rows):
    assert train("regression", "run").code == 0
    before = (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes()
    refused = train("regression", "run")
    assert refused.code == 1
    assert "exists already. Go on with it (--resume), replace it (--overwrite)" in refused.err
    assert (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes() == before
    (tmp_path / "run" / "notes.txt").write_text("mine")
    replaced = train("regression", "run", "--overwrite", "--max-epochs", 1)
    assert replaced.code == 0, replaced.err
    assert {row["epoch"] for row in rows(tmp_path / "run")} == {0}
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_finished_run_is_told_so_and_can_be_trained_further(train, call, tmp_path, rows):
    assert train("regression", "run", "--max-epochs", 1).code == 0
    whole = rows(tmp_path / "run")
    again = train("regression", "run", "--max-epochs", 1, "--resume")
    assert again.code == 0
    assert "all 3 steps are done already. To train further, raise max_epochs" in again.log
    assert rows(tmp_path / "run") == whole
    more = train("regression", "run", "--max-epochs", 2, "--resume")
    assert more.code == 0
    assert [row["epoch"] for row in rows(tmp_path / "run") if row["split"] == "validation"] == [0, 1]
    assert rows(tmp_path / "run")[: len(whole)] == whole
    assert saved(tmp_path / "run").regression_train.max_epochs == 2


def test_resume_alone_starts_where_there_is_nothing_yet(train, tmp_path):
    done = train("regression", "run", "--resume", "--max-epochs", 1)
    assert done.code == 0, done.err
    shutil.rmtree(tmp_path / "run" / "checkpoints")  # as if killed before the first one
    done = train("regression", "run", "--resume", "--max-epochs", 1)
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "checkpoints" / "best.pt").is_file()


@pytest.mark.parametrize("named", ["run", "run/checkpoints/last.pt", "run/checkpoints/best.pt"])
def test_a_run_alone_is_enough_to_resume(train, call, tmp_path, named, rows):
    """Its configuration is known: nothing is said twice, as the message after Ctrl-C promises."""
    assert train("regression", "run", "--max-epochs", 1, "--seed", 3).code == 0
    done = call("train", "regression", "--resume", tmp_path / named, "--max-epochs", 2)
    assert done.code == 0, done.err
    config = saved(tmp_path / "run")
    assert (config.seed, config.run_dir, config.regression_train.max_epochs) == (3, tmp_path / "run", 2)
    assert [row["epoch"] for row in rows(tmp_path / "run") if row["split"] == "validation"] == [0, 1]


def test_a_run_can_be_taken_on_in_another_folder(train, call, tmp_path, rows):
    assert train("regression", "run", "--max-epochs", 1).code == 0
    before = rows(tmp_path / "run")
    other = tmp_path / "other"
    done = call("train", "regression", "--resume", tmp_path / "run", "--run-dir", other, "--max-epochs", 2)
    assert done.code == 0, done.err
    assert {row["epoch"] for row in rows(other)} == {1}
    assert rows(tmp_path / "run") == before


def test_older_keys_resume_as_well(train, tmp_path, rows):
    assert train("regression", "run", "--max-epochs", 1).code == 0
    done = train("regression", "run", "--set", "resume_ckpt=true", "--max-epochs", 2)
    assert done.code == 0, done.err
    told = train(
        "regression", "other", "--set", "resume_ckpt=true", "--max-epochs", 3,
        "--set", f"checkpoint_dir={tmp_path / 'run' / 'checkpoints' / 'last.pt'}",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert {row["epoch"] for row in rows(tmp_path / "other")} == {2}


def test_what_cannot_be_resumed_is_told_and_left_alone(train, call, trained, tmp_path):
    before = (trained / "regression" / "config.json").read_bytes()
    other = call("train", "pix2pix", "--resume", trained / "regression")
    assert other.code == 1
    assert "is a checkpoint of task 'regression': expected one of 'pix2pix'" in other.err
    assert "voxloom train regression --resume" in other.err
    assert (trained / "regression" / "config.json").read_bytes() == before
    wider = ["--set", "translator_def.channels=[8, 16]"]
    assert train("regression", "run", "--max-epochs", 1).code == 0
    kept = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.json*")}
    failed = train("regression", "run", "--resume", *wider)
    assert failed.code == 1
    assert "is of another architecture" in failed.err
    assert {path: path.read_bytes() for path in (tmp_path / "run").glob("*.json*")} == kept
    for path in (tmp_path / "nowhere", tmp_path / "nowhere.pt"):
        assert "does not exist" in train("regression", "new", "--resume", path).err
    assert not (tmp_path / "new").exists()
