"""The rules of the house that a machine can keep: who imports whom, names, sizes, what a file may say."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import voxloom

ROOT = Path(__file__).parents[1]
PACKAGE = Path(voxloom.__file__).parent

GROUND = {
    "amounts", "atomic", "buffers", "cache", "component", "errors", "geometry", "keys", "label_colours",
    "lettering", "metrics", "overlay", "panels", "ranks", "registry", "sample", "seeding", "source",
    "stacking",
}  # fmt: skip
DATA = {"conversion", "formats", "loading", "sources", "transforms", "volumes"}
MODEL = {"diffusion", "models"}
BRIDGE = {"analysis", "inference", "training"}
# A room imports from lower layers and its own; the two names of a line never import each other.
LAYERS = [GROUND, DATA | MODEL, BRIDGE, {"config"}, {"jobs"}, {"cli"}, {"__main__"}, {"compat"}, {"testing"}]
APART = [(DATA, MODEL), *(({a}, {b}) for a in BRIDGE for b in BRIDGE - {a}), ({"formats"}, {"volumes"})]
NEVER_IMPORTED = {"compat", "testing"}  # but by themselves and by tests
FILES_ONLY = {"demo", "recipes"}  # shipped data, no code


def modules():
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def room(name):
    """``voxloom.loading.order`` -> ``loading``."""
    return name.split(".")[1] if "." in name else ""


def imports(path):
    """Yield (module, line) of what a file imports from voxloom: statements and "module:name" of tables."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import; write the module's full name"
            if node.module == "voxloom":
                yield from ((f"voxloom.{alias.name}", node.lineno) for alias in node.names)
            elif node.module and node.module.startswith("voxloom."):
                yield node.module, node.lineno
        elif isinstance(node, ast.Import):
            yield from ((a.name, node.lineno) for a in node.names if a.name.startswith("voxloom."))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"voxloom(\.\w+)+:\w+", str(node.value)):
            yield node.value.partition(":")[0], node.lineno


def edges():
    for path in modules():
        own = room(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        own = "" if path == PACKAGE / "__init__.py" else own
        for name, line in imports(path):
            other = room(name)
            if other != own and (PACKAGE / other).exists() | (PACKAGE / f"{other}.py").exists():
                yield own, other, f"{path.relative_to(ROOT)}:{line} imports {name}"


def layer(name):
    return next(number for number, rooms in enumerate(LAYERS) if name in rooms)


def test_each_room_has_its_layer():
    present = {path.stem if path.suffix else path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    unknown = {name for name in present if not name.startswith("__")} - set().union(*LAYERS, FILES_ONLY)
    assert not unknown - {"py"}, "say in LAYERS which layer these rooms belong to"


def test_nothing_imports_upward():
    wrong = [
        text for own, other, text in edges() if own and other not in FILES_ONLY and layer(other) > layer(own)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_root_names_only_the_ground_and_the_data():
    """The root's names load when they are used, and none of them brings a model along."""
    wrong = [text for own, other, text in edges() if not own and other not in GROUND | DATA]
    assert not wrong, "\n".join(wrong)


def test_rooms_that_stay_apart_do():
    wrong = [
        text
        for own, other, text in edges()
        for one, two in APART
        if (own in one and other in two) or (own in two and other in one)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_needs_the_doors_or_the_testing_room():
    wrong = [text for _, other, text in edges() if other in NEVER_IMPORTED]
    assert not wrong, "\n".join(wrong)


def test_no_room_is_imported_inside_a_function_but_by_commands():
    """A local import dodges a circle; only the command line has the right, to be quick with its help."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        if "cli" not in path.relative_to(PACKAGE).parts
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("voxloom"))
        or (isinstance(node, ast.Import) and any(a.name.startswith("voxloom") for a in node.names))
    ]
    assert not wrong, wrong


PACKAGES = sorted(
    ".".join(path.parent.relative_to(PACKAGE.parent).parts)
    for path in PACKAGE.rglob("__init__.py")
    if path.parent.name not in FILES_ONLY
)


def says_only_what_it_is(name):
    """Whether a package's __init__ is its docstring and nothing else."""
    return len(tree(PACKAGE.parent.joinpath(*name.split("."), "__init__.py")).body) == 1


def isort_order(name):
    """CONSTANTS, then Classes, then the rest, as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names_are_sorted_and_resolve(name):
    if says_only_what_it_is(name):
        return
    package = importlib.import_module(name)
    names = list(package.__all__)
    assert names == sorted(set(names), key=isort_order)
    missing = [each for each in names if not hasattr(package, each)]
    assert not missing, f"{name}.__all__ names what is not there: {missing}"


def test_every_folder_of_code_is_a_package():
    folders = {path.parent for path in modules() if "compat" not in path.relative_to(PACKAGE).parts}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def tracked():
    """Return what git knows, or skip where there is no git, as in an unpacked sdist."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_files_are_named_for_what_they_hold():
    vague = {"utils", "util", "common", "helpers", "helper", "misc"}
    names = {path.relative_to(ROOT) for path in [*modules(), *tracked()]}
    ours = [name for name in names if "compat" not in name.parts]  # which has the names of others
    wrong = [str(name) for name in ours if vague & {Path(part).stem.lower() for part in name.parts}]
    assert not wrong


def test_no_file_of_code_is_too_long():
    code = {path for path in [*modules(), *tracked()] if path.suffix == ".py"}
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in code}
    wrong = {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > 400}
    assert not wrong, f"more than 400 lines, so probably two nouns: {wrong}"


# Written in pieces, so that this file does not say them either.
FORBIDDEN = {
    "a workplace's path": rf"(?<![\w.])/{'work'}(?=[/\s\"'`]|$)",
    "a folder beside the repository": rf"(?<![\w/-])(\.\./)?{'shared'}/",
    "a registry's host": "|".join(
        re.escape(f"{host}.{end}")
        for host, end in [
            ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("anaconda", "org"),
            ("debian", "org"), ("download.pytorch", "org"), ("proxy.golang", "org"),
        ]
    ) + rf"|/opt/{'wheels'}|/opt/{'pypi'}",
}  # fmt: skip


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what):
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    wrong = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        wrong += [f"{path.relative_to(ROOT)}: {match.group()!r}" for match in pattern.finditer(text)]
    assert not wrong, "\n".join(wrong)


HEAVY = {"torch", "monai", "tifffile", "imagecodecs", "matplotlib", "scipy", "PIL", "tensorboard"}


def loaded_by(code):
    """Return the modules of a fresh process after some code."""
    report = "; import sys; print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import voxloom",
        "import voxloom.models",
        "from voxloom import VoxloomError, errors, ranks, registry",
        "from voxloom.cli import cli; cli.main(['--help'], standalone_mode=False)",
    ],
)
def test_the_light_ways_in_load_nothing_heavy(code):
    assert not loaded_by(code) & HEAVY


def test_import_voxloom_loads_no_array_library_at_all():
    assert not loaded_by("import voxloom") & {*HEAVY, "numpy", "pydantic", "click"}
