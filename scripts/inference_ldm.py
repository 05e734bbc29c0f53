"""The older command for ``voxloom predict ldm``; every option of that works here too.

python scripts/inference_ldm.py --checkpoint runs/ldm/checkpoints/best.pt --num-samples 10
"""

import argparse
import sys
from pathlib import Path

from voxloom.cli import main

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("-e", "--environment-file")
parser.add_argument("--checkpoint")
parser.add_argument("--output-dir")
given, others = parser.parse_known_args()
if given.environment_file:
    others = ["-c", given.environment_file, *others]
if given.checkpoint:
    output = given.output_dir or f"inference_{Path(given.checkpoint).stem}"
    others = ["--checkpoint", given.checkpoint, "--output-dir", output, *others]
sys.argv[1:] = ["predict", "ldm", "--num-samples", "10", "--batch-size", "1", *others]

if __name__ == "__main__":
    main()
