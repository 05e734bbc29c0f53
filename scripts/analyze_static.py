"""The older command for ``voxloom analyze static``; every option of that works here too.

python scripts/analyze_static.py --vae-weights autoencoder_last.pt --config-file config/vae_config.json \\
    --folder-edente data/edente --folder-dente data/dente --output-dir projections --color-by-patient
"""

import argparse
import sys

from voxloom.cli import main

parser = argparse.ArgumentParser(
    allow_abbrev=False,
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    description="Draw the latents of one or two folders of images, as PTI-LDM-VAE does.",
    epilog="Every other option of `voxloom analyze static` works too; its --help lists them.",
)
parser.add_argument("--vae-weights", metavar="FILE", help="weights of the VAE, or a run")
parser.add_argument("--config-file", metavar="FILE", help="configuration that bare weights belong to")
parser.add_argument("--folder-edente", metavar="DIR", help="images of the group edente")
parser.add_argument("--folder-dente", metavar="DIR", help="images of the group dente")
parser.add_argument("--output-dir", default="projections", metavar="DIR", help="folder of the results")
parser.add_argument("--max-images", default="1000", metavar="N", help="only the first images of each folder")
parser.add_argument(
    "--patch-size", nargs=2, metavar=("H", "W"), help="size of the images, if not that of the training"
)
parser.add_argument("--color-by-patient", action="store_true", help="a colour for each patient")
parser.add_argument("--method", default="umap", choices=["umap", "tsne", "pca"], help="how points are placed")
parser.add_argument("--n-neighbors", default="40", metavar="N", help="of UMAP")
parser.add_argument("--min-dist", default="0.5", metavar="D", help="of UMAP")
parser.add_argument("--perplexity", default="30", metavar="P", help="of t-SNE")
parser.add_argument("--dpi", type=int, default=300, metavar="N", help="of the PNG, 16 x 14 inches")
given, others = parser.parse_known_args()

# The patient is the last part of a file's name: image_001.tif is of 001.
patient = r"key:([^_/]+?)(?:\.\w+)?$"
folders = {"edente": given.folder_edente, "dente": given.folder_dente}
settings = {
    "umap": ["--n-neighbors", given.n_neighbors, "--min-dist", given.min_dist],
    "tsne": ["--perplexity", given.perplexity],
}
sys.argv[1:] = ["analyze", "static"]
if given.vae_weights:
    sys.argv += ["--checkpoint", given.vae_weights]
if given.config_file:
    sys.argv += ["--config-file", given.config_file]
for name, folder in folders.items():
    sys.argv += ["--images", f"{name}={folder}"] if folder else []
sys.argv += ["--output", given.output_dir, "--max-images", given.max_images]
if given.patch_size:
    sys.argv += ["--patch-size", *given.patch_size]
sys.argv += ["--method", given.method, *settings.get(given.method, [])]
if given.method != "tsne" and given.folder_edente:
    sys.argv += ["--fit", "edente"]  # t-SNE cannot place points that it has not seen
if given.folder_dente:
    sys.argv += ["--patient", patient]
if given.color_by_patient:
    sys.argv += ["--color-by", patient]
# A figure is 8 x 7 inches, and was 16 x 14. What was there before was replaced.
sys.argv += ["--dpi", str(2 * given.dpi), "--texts", "--overwrite", *others]

if __name__ == "__main__":
    main()
