"""The reference of the configuration is written from the schema, and the committed one is up to date."""

import re
from importlib.resources import files

from voxloom.config.reference import PATH, reference
from voxloom.config.schema import TASKS, Config
from voxloom.transforms import TRANSFORMS


def rows(section):
    body = re.split(r"^## ", reference(), flags=re.MULTILINE)
    (found,) = [part for part in body if part.splitlines()[0].replace("`", "") == section]
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", found, flags=re.MULTILINE))


def test_the_committed_reference_is_up_to_date():
    assert PATH.read_text(encoding="utf-8") == reference(), (
        "the schema has changed: run `python -m voxloom.config.reference` and commit what it writes"
    )


def test_it_lies_beside_the_shipped_configurations():
    assert files("voxloom.recipes").joinpath("README.md").is_file()


def test_every_key_of_the_schema_has_a_row_and_a_meaning():
    top = rows("Data") | rows("Run and models")
    assert set(top) == set(Config.model_fields)
    for line in reference().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), f"no docstring: {line}"


def test_a_row_tells_range_default_and_meaning():
    assert rows("Data")["train_split"] == "number > 0, < 1 | `0.9` | Share of the images that trains."


def test_training_sections_list_only_what_is_their_own():
    for section in TASKS.values():
        assert "log_every" not in rows(section)
    assert "log_every" in rows("Training")
    assert rows("diffusion_train")["ema_decay"].split(" | ")[1] == "`0.999`"


def test_every_normalisation_is_described():
    for name in set(TRANSFORMS) - {"augment", "channels_first", "resize"}:
        assert "name" in rows(f"preparation.normalization: {name}")


def test_links_lead_to_a_heading():
    text = reference()
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    slugs = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= slugs
