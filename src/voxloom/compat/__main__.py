"""``python -m voxloom.compat script.py [arguments]``: run a script of an older system unchanged.

These are PTI-LDM-VAE (``pti_ldm_vae``), CellMap-Data (``cellmap_data``) and the Dataset Conversion Library
(``datasets.memmap`` and its siblings, ``utils.utils``). HuggingFace's ``datasets`` and a script's own
``utils`` stay what they are.
Arguments, ``__name__``, tracebacks and the exit code are those of ``python script.py [arguments]``.
Under torchrun: ``torchrun --nproc_per_node=4 -m voxloom.compat script.py [arguments]``.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

import click

from voxloom.compat.aliases import SHIM_FOLDER
from voxloom.compat.module_paths import install

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Run the script that the first argument names; the others are its own.

    Raises
    ------
    SystemExit
        With code 2 where there is no script.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        click.echo(__doc__, err=not arguments)
        sys.exit(0 if arguments else 2)
    script = arguments[0]
    if not Path(script).is_file():
        click.echo(f"python -m voxloom.compat: no script {script!r} in {Path.cwd()}.", err=True)
        sys.exit(2)
    _show_log()
    sys.argv = arguments
    if not sys.flags.safe_path:  # else Python puts neither our folder nor the script's there
        sys.path[0] = str(Path(script).resolve().parent)
    sys.path.insert(1, str(SHIM_FOLDER))
    install()
    _run(os.path.abspath(script))


def _run(script: str) -> None:
    """Run a file as the main module, which stays there until the process ends."""
    module = ModuleType("__main__")
    module.__dict__.update(__file__=script, __loader__=SourceFileLoader("__main__", script), __cached__=None)
    sys.modules["__main__"] = module
    _hide_frames_above(script)
    exec(_compiled(script), module.__dict__)


def _compiled(script: str) -> CodeType:
    return compile(Path(script).read_bytes(), script, "exec", dont_inherit=True)


def _hide_frames_above(script: str) -> None:
    """Let tracebacks begin in the script, as if Python had started it itself."""
    show = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        while trace is not None and trace.tb_frame.f_code.co_filename != script:
            trace = trace.tb_next
        show(kind, error.with_traceback(trace), trace)

    sys.excepthook = hook


def _show_log() -> None:
    """Show what voxloom logs, data statistics for instance, and leave the script's own logging alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("voxloom")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


if __name__ == "__main__":
    main(sys.argv[1:])
