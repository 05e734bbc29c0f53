"""The documentation is true: its Python runs, its commands and configurations exist."""

from __future__ import annotations

import io
import logging
import re
import shlex
import sys
import types
import typing
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from voxloom.cli import cli
from voxloom.cli.train import overrides_of
from voxloom.config import TASKS, Config, load_config
from voxloom.sources import Split
from voxloom.sources.split_rows import is_volume_split, rows_from_csv
from voxloom.testing.images import write_pairs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = {"bash", "sh", "console"}
CONFIGURATIONS = {"json", "yaml", "toml"}
# Programs that a page may name without a check; each block also needs one that is checked.
PROGRAMS = {"pip", "cd", "source", "export", "python3"}


@dataclass
class Block:
    page: Path
    line: int
    language: str
    text: str
    excuse: str
    follows_python: bool

    def __str__(self):
        return f"{self.page.name}:{self.line}"


def fences(page):
    """Yield (line, language, text, what stands before) of each fenced block, also where it is indented."""
    text = page.read_text(encoding="utf-8")
    end = 0
    pattern = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
    for match in pattern.finditer(text):
        indent, language, body = match.groups()
        lines = [line.removeprefix(indent) for line in body.splitlines()]
        yield text.count("\n", 0, match.start()) + 1, language, "\n".join(lines), text[end : match.start()]
        end = match.end()


def blocks(page):
    found, last = [], ""
    for line, language, text, before in fences(page):
        excuse = re.search(r"<!-- not run: (.+?) -->\s*$", before)
        follows = last == "python" and not before.strip()
        found.append(Block(page, line, language, text, excuse[1] if excuse else "", follows))
        last = language
    return found


def every(languages):
    chosen = [b for page in PAGES for b in blocks(page) if b.language in languages and not b.excuse]
    return [pytest.param(block, id=str(block)) for block in chosen]


def test_every_block_is_checked_or_says_why_not():
    known = {"python", "text", "csv", *SHELLS, *CONFIGURATIONS}
    wrong = [f"{block}: {block.language!r}" for page in PAGES for block in blocks(page) if not block.excuse]
    assert not [text for text in wrong if text.split("'")[1] not in known]


# -- Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.name) for p in PAGES if any(b.language == "python" for b in blocks(p))]
)
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    voxloom = logging.getLogger("voxloom")
    monkeypatch.setattr(voxloom, "level", voxloom.level)  # a page may change it
    write_pairs("data", 8, size=(40, 36), names=("ct", "mri"))
    module = types.ModuleType(f"page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # so that its classes can be pickled
    printed = ""
    for block in blocks(page):
        if block.follows_python and block.language == "text":
            assert printed.strip() == block.text.strip(), f"{block} prints something else"
        if block.language != "python" or block.excuse:
            continue
        code = "\n" * block.line + block.text  # so that a traceback names the page's line
        with redirect_stdout(io.StringIO()) as out:
            exec(compile(code, str(page), "exec"), vars(module))
        printed = out.getvalue()


# -- commands -------------------------------------------------------------------------------------


def commands(text):
    """Yield the words of each command in a shell block: prompts, comments and environment taken off."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.strip().removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words:
            yield words


def parsed(words):
    """Return (names, context) of a voxloom command, its options parsed and nothing run."""
    command, names, words = cli, [], list(words)
    while isinstance(command, click.Group):
        flags = [word for word in words if word.startswith("-")]
        if not words or words[0] in ("--help", "--version", "-h"):
            return names, None
        if words[0] in flags:
            assert words[0] in {option for p in command.params for option in p.opts}, words[0]
            words = words[1:]
            continue
        parent, name = command, words.pop(0)
        command = parent.get_command(click.Context(parent), name)
        assert command is not None, f"no command {name!r} in {' '.join(['voxloom', *names])}"
        names.append(name)
    try:
        return names, command.make_context(" ".join(names), words)
    except click.exceptions.Exit:  # --help
        return names, None


def check_voxloom(words):
    names, context = parsed(words)
    if names[:1] == ["train"] and context is not None:
        check_configuration(names[1], dict(context.params))


def check_configuration(task, given):
    """Load the configuration that a command would, from those of its files that ship."""
    named = [given.pop("environment_file"), *given.pop("config_file")]
    files = [ROOT / name for name in named if name and (ROOT / name).is_file()]
    assignments = given.pop("assignments")
    for other in ("resume", "overwrite"):
        given.pop(other)
    load_config(task, files, overrides=overrides_of(task, given, assignments))


def check_make(words):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(targets), f"no such target: make {' '.join(words)}"


def check_line(words):
    """Check one command; return whether there was anything to check."""
    program, *rest = words
    if "voxloom" in words[:1]:
        check_voxloom(rest)
    elif program in ("torchrun", "srun", "python") and rest[-1:] and "-m" in rest:
        module, *arguments = rest[rest.index("-m") + 1 :]
        assert module == "voxloom", f"python -m {module} is not checked: say why it is not run"
        check_voxloom(arguments)
    elif program in ("torchrun", "python"):
        script = next(word for word in rest if word.endswith(".py"))
        assert (ROOT / script).is_file(), f"{script} does not exist"
    elif program == "make":
        check_make(rest)
    else:
        assert program in PROGRAMS, f"{program} is not checked: say why it is not run"
        return False
    return True


@pytest.mark.parametrize("block", every(SHELLS))
def test_commands_and_their_options_exist(block):
    checked = [check_line(words) for words in commands(block.text)]
    assert any(checked), f"{block}: nothing to check; say why it is not run"


def options(command):
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from options(command.get_command(click.Context(command), name))
    yield from (option for parameter in command.params for option in parameter.opts)


ELSEWHERE = {
    "--help",
    "--gpus-per-node",
    "--rdzv_endpoint",
    "--shm-size",
}  # click's, SLURM's, torchrun's, Docker's


def spans(page):
    """Return the code within sentences: what stands between single backticks, outside of blocks."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES])
def test_sentences_name_commands_options_and_keys_that_exist(page):
    known = set(options(cli)) | ELSEWHERE
    for span in spans(page):
        words = span.split()
        if words[0] == "voxloom" and "..." not in span:
            names = [word for word in words[1:4] if re.fullmatch("[a-z0-9]+", word)]
            command = cli
            for name in names:
                if not isinstance(command, click.Group):
                    break  # an argument
                command = command.get_command(click.Context(command), name)
                assert command is not None, f"{page.name}: no command {span!r}"
        for option in re.findall(r"(?<![\w-])--[a-z][a-z_-]+", span) if words[0] != "torchrun" else ():
            assert option in known, f"{page.name}: no option {option}"
        if re.fullmatch(r"[A-Za-z_]+(\.[a-z_]+)+", span) and span.split(".")[0] in Config.model_fields:
            assert is_key(span), f"{page.name}: no configuration key {span}"


def is_key(dotted):
    models = [Config]
    for part in dotted.split("."):
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if not fields:
            return False
        models = [model for field in fields for model in models_in(field.annotation)]
    return True


def models_in(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


# -- configurations -------------------------------------------------------------------------------


@pytest.mark.parametrize("block", every(CONFIGURATIONS))
def test_configurations_load(block, tmp_path):
    path = tmp_path / f"page.{block.language}"
    path.write_text(block.text, encoding="utf-8")
    for task in TASKS:
        load_config(task, [path])


@pytest.mark.parametrize("block", every({"csv"}))
def test_split_files_load(block, tmp_path):
    path = tmp_path / "split.csv"
    path.write_text(block.text, encoding="utf-8")
    assert rows_from_csv(path) if is_volume_split(path) else Split.load(path).train


# -- the site -------------------------------------------------------------------------------------


def test_the_site_fetches_nothing():
    """Pages open without a network: no fonts, scripts, styles or pictures from elsewhere."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(r"^  font: false", settings, re.MULTILINE)
    assert "extra_javascript" not in settings
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(script|link|img|iframe)\b[^>]*https?://", text), page.name
        assert not re.search(r"!\[[^\]]*\]\(https?://", text), page.name
