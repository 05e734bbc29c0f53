"""The older command for ``voxloom analyze static``; every option of that works here too.

python scripts/analyze_static.py --vae-weights autoencoder_last.pt --config-file config/vae_config.json \\
    --folder-edente data/edente --folder-dente data/dente --output-dir projections --color-by-patient
"""

import argparse
import sys

from voxloom.cli import main

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("--vae-weights")
parser.add_argument("--config-file")
parser.add_argument("--folder-edente")
parser.add_argument("--folder-dente")
parser.add_argument("--output-dir", default="projections")
parser.add_argument("--max-images", default="1000")
parser.add_argument("--patch-size", nargs=2, default=["256", "256"])
parser.add_argument("--color-by-patient", action="store_true")
parser.add_argument("--method", default="umap", choices=["umap", "tsne", "pca"])
parser.add_argument("--n-neighbors", default="40")
parser.add_argument("--min-dist", default="0.5")
parser.add_argument("--perplexity", default="30")
parser.add_argument("--dpi", type=int, default=300)
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
sys.argv += ["--patch-size", *given.patch_size, "--method", given.method, *settings.get(given.method, [])]
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
