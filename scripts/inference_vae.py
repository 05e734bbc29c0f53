"""The older command for ``voxloom predict vae``; every option of that works here too.

python scripts/inference_vae.py --checkpoint runs/vae/checkpoints/best.pt --input-dir data/edente
"""

import argparse
import sys
from pathlib import Path

from voxloom.cli import main

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("--checkpoint")
parser.add_argument("--output-dir")
given, others = parser.parse_known_args()
if given.checkpoint:
    output = given.output_dir or f"inference_vae_{Path(given.checkpoint).stem}"
    others = ["--checkpoint", given.checkpoint, "--output-dir", output, *others]
sys.argv[1:] = ["predict", "vae", *others]

if __name__ == "__main__":
    main()
