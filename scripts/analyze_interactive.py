"""The older command for ``voxloom explore``; every option of that works here too.

python scripts/analyze_interactive.py --vae-weights autoencoder_last.pt --config-file vae_config.json \\
    --folder-edente data/edente --folder-dente data/dente --port 8050
"""

import argparse
import sys

from voxloom.cli import main


def arguments() -> list[str]:
    """Return what ``voxloom`` is asked for."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--vae-weights")
    parser.add_argument("--config-file")
    parser.add_argument("--folder-edente")
    parser.add_argument("--folder-dente")
    parser.add_argument("--max-images", default="3000")
    parser.add_argument("--patch-size", nargs=2, default=["256", "256"])
    parser.add_argument("--color-by-patient", action="store_true")
    parser.add_argument("--method", default="umap", choices=["umap", "tsne", "pca"])
    parser.add_argument("--n-neighbors", default="40")
    parser.add_argument("--min-dist", default="0.5")
    parser.add_argument("--perplexity", default="30")
    parser.add_argument("--subtitle")
    # Dash's debugger runs what a page sends it; there is none here.
    parser.add_argument("--debug", action="store_true")
    given, others = parser.parse_known_args()
    named = {"--checkpoint": given.vae_weights, "--config-file": given.config_file, "--title": given.subtitle}
    folders = {"edente": given.folder_edente, "dente": given.folder_dente}
    asked = ["explore"]
    for option, value in named.items():
        asked += [option, value] if value else []
    for name, folder in folders.items():
        asked += ["--encode", f"{name}={folder}"] if folder else []
    asked += ["--max-images", given.max_images, "--patch-size", *given.patch_size, "--method", given.method]
    asked += ["--n-neighbors", given.n_neighbors, "--min-dist", given.min_dist]
    asked += ["--perplexity", given.perplexity]
    if given.method != "tsne" and given.folder_edente:
        asked += ["--fit", "edente"]
    # The patient is the last part of a file's name: image_001.tif is of 001.
    asked += ["--patient", PATIENT, *(["--color-by", PATIENT] if given.color_by_patient else [])]
    return [*asked, *others]


PATIENT = r"key:([^_/]+?)(?:\.[A-Za-z]+)?$"

# The explorer computes in a process of its own, which reads this file again under another name.
if __name__ == "__main__":
    sys.argv[1:] = arguments()
    main()
