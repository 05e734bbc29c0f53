"""The older command for ``voxloom explore``; every option of that works here too.

python scripts/analyze_interactive.py --vae-weights autoencoder_last.pt --config-file vae_config.json \\
    --folder-edente data/edente --folder-dente data/dente --port 8050
"""

import argparse
import sys

from voxloom.cli import main


def arguments() -> list[str]:
    """Return what ``voxloom`` is asked for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Explore the latents of one or two folders of images, as PTI-LDM-VAE does.",
        epilog="Every other option of `voxloom explore` works too, --port for one; its --help lists them.",
    )
    parser.add_argument("--vae-weights", metavar="FILE", help="weights of the VAE, or a run")
    parser.add_argument("--config-file", metavar="FILE", help="configuration that bare weights belong to")
    parser.add_argument("--folder-edente", metavar="DIR", help="images of the group edente")
    parser.add_argument("--folder-dente", metavar="DIR", help="images of the group dente")
    parser.add_argument("--max-images", default="3000", metavar="N", help="only the first of each folder")
    parser.add_argument(
        "--patch-size", nargs=2, metavar=("H", "W"), help="size of the images, if not that of the training"
    )
    parser.add_argument("--color-by-patient", action="store_true", help="a colour for each patient")
    parser.add_argument("--method", default="umap", choices=["umap", "tsne", "pca"], help="shown first")
    parser.add_argument("--n-neighbors", default="40", metavar="N", help="of UMAP, at first")
    parser.add_argument("--min-dist", default="0.5", metavar="D", help="of UMAP, at first")
    parser.add_argument("--perplexity", default="30", metavar="P", help="of t-SNE, at first")
    parser.add_argument("--subtitle", metavar="TEXT", help="above the page")
    # Dash's debugger runs what a page sends it; there is none here.
    parser.add_argument("--debug", action="store_true", help="does nothing")
    given, others = parser.parse_known_args()
    named = {"--checkpoint": given.vae_weights, "--config-file": given.config_file, "--title": given.subtitle}
    folders = {"edente": given.folder_edente, "dente": given.folder_dente}
    asked = ["explore"]
    for option, value in named.items():
        asked += [option, value] if value else []
    for name, folder in folders.items():
        asked += ["--encode", f"{name}={folder}"] if folder else []
    asked += ["--max-images", given.max_images]
    asked += ["--patch-size", *given.patch_size] if given.patch_size else []
    asked += ["--method", given.method, "--n-neighbors", given.n_neighbors, "--min-dist", given.min_dist]
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
