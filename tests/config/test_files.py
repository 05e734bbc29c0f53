import json
import logging
import tomllib
from importlib.resources import files

import pytest
import yaml

from voxloom.config import TASKS, Config, load_config
from voxloom.config.files import read_file
from voxloom.errors import ConfigError, MissingDataError

TREE = {
    "seed": 7,
    "augment": {"flip_x": 0.25},
    "preparation": {"normalization": {"name": "range", "low": -1.5, "high": 1e3}},
    "autoencoder_train": {"lr": 1e-4, "patch_size": [32, 48]},
    "vae": {"run_dir": "runs/a"},
    "ldm": {"run_dir": "runs/b"},
}
TOML = """
seed = 7
augment = { flip_x = 0.25 }
preparation.normalization = { name = "range", low = -1.5, high = 1e3 }
[autoencoder_train]
lr = 1e-4
patch_size = [32, 48]
[vae]
run_dir = "runs/a"
[ldm]
run_dir = "runs/b"
"""
YAML = """
# a number without a dot is a string to YAML 1.1, and is meant as a number all the same
seed: 7
augment: {flip_x: 0.25}
preparation: {normalization: {name: range, low: -1.5, high: 1e3}}
autoencoder_train: {lr: 1e-4, patch_size: [32, 48]}
vae: {run_dir: runs/a}
ldm: {run_dir: runs/b}
"""


@pytest.fixture
def file(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path

    return write


@pytest.mark.parametrize("task", TASKS)
def test_formats_agree(file, task):
    texts = {"a.json": TREE, "a.yaml": YAML, "a.YML": YAML, "a.toml": TOML, "b.yaml": yaml.safe_dump(TREE)}
    made = [load_config(task, [file(*one)]) for one in texts.items()]
    assert all(config == made[0] for config in made)
    assert tomllib.loads(TOML) == TREE
    assert made[0].autoencoder_train.lr == 1e-4
    assert made[0].augmentation.flip_x == 0.25


def test_a_section_counts_for_its_task_alone(file):
    path = file("a.json", TREE)
    assert [str(load_config(task, [path]).run_dir) for task in ("vae", "ldm", "pix2pix")] == [
        "runs/a", "runs/b", "runs/run",
    ]  # fmt: skip


def test_later_files_beat_earlier_ones_and_the_command_line_beats_both(file):
    first = file(
        "a.json", {"seed": 1, "vae": {"num_workers": 1}, "autoencoder_train": {"lr": 1, "batch_size": 3}}
    )
    second = file("b.toml", "seed = 2\nautoencoder_train.lr = 2")
    config = load_config("vae", [first, second])
    assert (config.seed, config.num_workers) == (2, 1)
    assert (config.autoencoder_train.lr, config.autoencoder_train.batch_size) == (2, 3)
    over = {"seed": 0, "autoencoder_train.lr": 3, "vae.num_workers": 0, "ldm.num_workers": 9}
    config = load_config("vae", [first, second], overrides=over)
    assert (config.seed, config.num_workers) == (0, 0)
    assert (config.autoencoder_train.lr, config.autoencoder_train.batch_size) == (3, 3)


def test_another_normalisation_starts_afresh(file):
    path = file("a.json", TREE)
    same = load_config("vae", [path], overrides={"preparation.normalization.low": 0})
    assert (same.preparation.normalization.low, same.preparation.normalization.high) == (0, 1000)
    other = load_config("vae", [path], overrides={"preparation.normalization": {"name": "minmax"}})
    assert other.preparation.normalization.name == "minmax"


def test_comments_are_left_out_at_any_depth(file):
    path = file(
        "a.json", {"_comment": "x", "autoencoder_def": {"_note": 1, "latent_channels": 4}, "_more": {"a": 1}}
    )
    assert load_config("vae", [path]) == Config()


@pytest.mark.parametrize("at", ["@", "$@"])
def test_references_lead_to_the_value_of_a_key(file, at):
    path = file(
        "a.json",
        {
            "latent_channels": 3,
            "seed": f"{at}diffusion_train#batch_size",
            "autoencoder_def": {
                "latent_channels": f"{at}latent_channels",
                "in_channels": f"{at}image_channels",
            },
            "diffusion_train": {"batch_size": f"{at}subset_size", "patch_size": [f"{at}subset_size", 64]},
            "subset_size": 32,
        },
    )
    config = load_config("ldm", [path])
    assert config.autoencoder_def.latent_channels == 3
    assert config.autoencoder_def.in_channels == 1  # of a key that no file names
    assert (config.seed, config.diffusion_train.patch_size) == (32, (32, 64))


def test_references_that_lead_nowhere_or_round_in_a_circle_are_refused(file):
    with pytest.raises(ConfigError, match=r"'@laten_channels' leads nowhere.*Did you mean 'latent_channels'"):
        load_config("vae", [file("a.json", {"latent_channels": "@laten_channels"})])
    with pytest.raises(ConfigError, match="leads to itself"):
        load_config("vae", [file("a.json", {"seed": "@gpus", "gpus": "@seed"})])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sed", 1, "^sed: unknown key. Did you mean 'seed'"),
        ("vea", {}, "^vea: unknown key. Did you mean 'vae'"),
        ("zzz", 1, r"^zzz: unknown key\.$"),
        ("autoencoder_train.batchsize", 1, "_train.batchsize: unknown key. Did you mean 'batch_size'"),
        ("autoencoder_train.schedule.warmup", 1, "schedule.warmup: unknown key. Did you mean 'warmup_steps'"),
        ("sampling.solvr", "ddim", "^sampling.solvr: unknown key. Did you mean 'solver'"),
        ("augment", {"flipx": 1}, "^augment.flipx: unknown key. Did you mean 'flip_x'"),
        (
            "preparation.normalization",
            {"name": "percentile", "hgih": 9},
            "^preparation.normalization.hgih: unknown key. Did you mean 'high'",
        ),
        ("preparation.normalization", {"name": "rnge"}, "name 'rnge' is not allowed. Expected .*'range'"),
        ("preparation.normalization.low", 0, "preparation.normalization: name None is not allowed"),
        ("preparation.normalization", {"name": "range", "low": 0}, "normalization.high: missing"),
        ("read.colour", "luma", "^read.colour: unknown key. Did you mean 'color'"),
        ("seed", "many", "^seed: 'many' is not allowed. Input should be a valid integer"),
        ("autoencoder_train.batch_size", 2.5, "batch_size: 2.5 is not allowed. .*integer"),
        ("autoencoder_train.batch_size", 0, "batch_size: 0 is not allowed. .*greater than 0"),
        ("train_split", 1, "^train_split: 1 is not allowed. .*less than 1"),
        ("autoencoder_train.patch_size", 256, "patch_size: 256 is not allowed"),
        ("autoencoder_def", 5, "^autoencoder_def: 5 is not allowed"),
        ("diffusion_def", [1], r"^diffusion_def: \[1\] is not allowed"),
        ("autoencoder_def.channels", [10, 20], "norm_num_groups 32 does not divide.*10 would|2 would"),
        ("autoencoder_def.latent_channels", 3, "latent's channels differ.*Set latent_channels alone"),
        ("diffusion_def.conditioning", "none", "Use 'concat'"),
        ("process", "dpm", "^process: 'dpm' is not allowed. Input should be 'ddpm' or 'flow'"),
        ("NoiseScheduler.schedule", "lin", "^NoiseScheduler.schedule: unknown schedule 'lin'. Known: cosine"),
        ("sampling.solver", "eular", "unknown solver 'eular'.*Did you mean 'euler'"),
        ("sampling.solver", "euler", "does not solve DiffusionProcess. Those that do: ddim"),
        ("trackers", ["tensorbord"], "unknown tracker 'tensorbord'.*Did you mean 'tensorboard'"),
        ("device", 3, "^device: 3 is not allowed"),
        ("autoencoder_train.lr", float("nan"), "autoencoder_train.lr: nan is not allowed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(file, key, value, message):
    with pytest.raises(ConfigError, match=message):
        load_config("vae", overrides={key: value})
    tree = value
    for part in reversed(key.split(".")):
        tree = {part: tree}
    with pytest.raises(ConfigError, match=message):
        load_config("vae", [file("a.json", {"vae": tree})])


def test_everything_that_is_wrong_is_told_at_once(file):
    with pytest.raises(ConfigError) as caught:
        load_config("vae", overrides={"sed": 1, "gpus": 0, "autoencoder_train.lr": "fast"})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("section", [5, [1], "runs"])
def test_a_section_holds_keys_and_values(file, section):
    with pytest.raises(ConfigError, match=r"^vae: .* is not allowed. Expected a section"):
        load_config("ldm", [file("a.json", {"vae": section})])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", r"a\.json cannot be parsed: .*line 1"),
        ("a.yaml", "a: [1", r"a\.yaml cannot be parsed"),
        ("a.toml", "a = ", r"a\.toml cannot be parsed"),
        ("a.json", "[1]", "holds a list: expected keys and values"),
        ("a.ini", "[a]", "unknown suffix '.ini'; expected .json"),
        ("a", "{}", "unknown suffix ''"),
    ],
)
def test_files_that_cannot_be_read_are_named(file, name, text, message):
    with pytest.raises(ConfigError, match=message):
        read_file(file(name, text))


def test_a_missing_file_is_named_with_the_cure(tmp_path):
    with pytest.raises(MissingDataError, match=r"vae\.json does not exist.*voxloom init"):
        load_config("vae", [tmp_path / "vae.json"])


def test_an_empty_yaml_file_holds_no_keys(file):
    assert load_config("vae", [file("a.yaml", "# nothing yet\n")]) == Config()


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("vae", ["vae_config.json"]),
        ("vae", ["environment_tif.json", "vae_config.json"]),
        ("ldm", ["environment_tif.json", "config_train_16g_cond.json"]),
        ("vae", ["demo.json"]),
        ("ldm", ["demo.json"]),
        ("regression", ["demo.json"]),
        ("pix2pix", ["demo.json"]),
    ],
)
def test_shipped_recipes_load(task, names):
    config = load_config(task, [files("voxloom.recipes") / name for name in names])
    assert config.settings(task).max_epochs > 0
    if "vae_config.json" in names:  # the reference values
        assert config.autoencoder_def.channels == (64, 128, 256)
        train = config.autoencoder_train
        assert (train.lr, train.batch_size, train.kl_weight, train.adv_weight) == (2.5e-5, 8, 1e-6, 0.5)
        assert (train.adv_from_epoch, train.perceptual_weight, train.patch_size) == (5, 1.0, (256, 256))
    if "config_train_16g_cond.json" in names:
        assert config.diffusion_def.channels == (32, 64, 128, 256)
        assert config.diffusion_def.attention == (False, True, True, True)
        assert (config.diffusion_train.lr, config.diffusion_train.batch_size) == (1e-5, 8)
        assert config.autoencoder_path is not None


def test_every_shipped_recipe_is_tried_above():
    names = {entry.name for entry in files("voxloom.recipes").iterdir() if entry.name.endswith(".json")}
    assert names == {"vae_config.json", "environment_tif.json", "config_train_16g_cond.json", "demo.json"}


@pytest.mark.parametrize("task", TASKS)
def test_a_resolved_configuration_reloads_as_it_is(file, task):
    config = load_config(
        task, [file("a.json", TREE)], overrides={"trackers": [], "val_dir": "x", "group": "^(.)"}
    )
    plain = json.loads(json.dumps(config.model_dump(mode="json")))
    assert Config.model_validate(plain) == config
    assert load_config(task, [file("resolved.json", plain)]) == config
    assert load_config("vae" if task == "ldm" else "ldm", [file("resolved.json", plain)]) == config


def test_retired_keys_are_told_and_left_out(file, caplog):
    with caplog.at_level(logging.WARNING):
        config = load_config("vae", [file("a.json", {"wandb": {"entity": "x"}, "channel": 0, "seed": 3})])
    assert config == Config(seed=3)
    assert "'wandb' of an older configuration is not used" in caplog.text
    assert "'channel'" in caplog.text


def test_older_milestones_are_a_schedule_of_steps(file):
    path = file("a.json", {"diffusion_train": {"lr_scheduler_milestones": [3, 5]}})
    train = load_config("ldm", [path]).diffusion_train
    assert (train.schedule.schedule, train.schedule.milestones) == ("multistep", (3, 5))
    assert train.schedule.factor(0, total_steps=9, epoch=4) == pytest.approx(0.1)
    said = load_config("ldm", [path], overrides={"diffusion_train.schedule.schedule": "cosine"})
    assert said.diffusion_train.schedule.schedule == "cosine"
