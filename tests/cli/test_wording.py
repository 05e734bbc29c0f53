import logging
from pathlib import Path

import pytest

from voxloom.cli.wording import reworded


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("with layout='classes' or layout='flat'.", "with --layout classes or --layout flat."),
        ("leave it out with on_error='skip'.", "leave it out with --on-error skip."),
        ("Leave quality out, or give encoding='jpeg'.", "Leave quality out, or give --encoding jpeg."),
        ("quality=80 is that of JPEG", "--quality 80 is that of JPEG"),
        ("Use workers=0, or more.", "Use --workers 0, or more."),
        ("shard_bytes: '1X'\nsize.0: 0 is", "--shard-bytes: '1X'\n--size: 0 is"),
        ("Say which one holds them with images=[...].", "Say which one holds them with --images COLUMN."),
        ("Finish it with resume (--resume), or", "Finish it with --resume, or"),
        ("or use overwrite.", "or use --overwrite."),
        ("resume and overwrite exclude each other", "--resume and --overwrite exclude each other"),
        ('fields={"target": "a b", "mask_1": "m"}, or', "--image target='d/a b' --mask mask_1=d/m, or"),
        ("overwrite with 2 ranks; --mode='L'; my_size=3", "overwrite with 2 ranks; --mode='L'; my_size=3"),
    ],
)  # fmt: skip
def test_python_becomes_options(said, told):
    assert reworded(said, Path("d")) == told


def test_the_log_is_as_before_after_a_command(call, tmp_path):
    handlers = {handler: list(handler.filters) for handler in logging.getLogger().handlers}
    call("inspect", tmp_path / "nothing")
    assert {handler: list(handler.filters) for handler in logging.getLogger().handlers} == handlers
