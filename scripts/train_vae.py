"""The older command for ``voxloom train vae``; every option of that works here too.

python scripts/train_vae.py -c config/vae_config.json --batch-size 4
torchrun --nproc_per_node=4 scripts/train_vae.py -c config/vae_config.json -g 4
"""

import argparse
import sys

from voxloom.cli import main

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("-c", "--config-file", default="./config/vae_config.json")
given, others = parser.parse_known_args()
sys.argv[1:] = ["train", "vae", "-c", given.config_file, *others]

if __name__ == "__main__":
    main()
