"""The older command for ``voxloom train ldm``; every option of that works here too.

python scripts/train_ldm.py -e config/environment_tif.json -c config/config_train_16g_cond.json
torchrun --nproc_per_node=4 scripts/train_ldm.py -g 4
"""

import argparse
import sys

from voxloom.cli import main

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("-e", "--environment-file", default="./config/environment_tif.json")
parser.add_argument("-c", "--config-file", default="./config/config_train_16g_cond.json")
given, others = parser.parse_known_args()
sys.argv[1:] = ["train", "ldm", "-e", given.environment_file, "-c", given.config_file, *others]

if __name__ == "__main__":
    main()
