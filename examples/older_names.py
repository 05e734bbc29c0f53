"""A script of the Dataset Conversion Library, as it is.

    python -m voxloom.compat examples/older_names.py --input_path photos --output_path photos_memmap

What it writes is a store: `voxloom inspect photos_memmap` tells more of it.
"""

import argparse

import numpy as np
import torch
from datasets.memmap.memmap_converter import MemmapConverter
from datasets.memmap.memmap_reader import MemmapReader
from torch.utils.data import DataLoader
from utils.utils import get_number_of_channels


def to_tensor(image):
    """Return a PIL image as torchvision's ToTensor does."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--input_path", required=True)
    parser.add_argument("--output_path", required=True)
    args = parser.parse_args()

    converter = MemmapConverter(
        input_data=args.input_path,
        output_path=args.output_path,
        images_per_file=16,
        batch_size=8,
        num_workers=0,
        shape=(32, 48),
        im_mode="RGB",
    )
    converter.convert()

    dataset = MemmapReader(dataset_path=args.output_path, transform=to_tensor)
    loader = DataLoader(
        dataset, batch_size=8, shuffle=True, num_workers=0, worker_init_fn=dataset.worker_init_fn
    )
    print(len(dataset), "images of", get_number_of_channels("RGB"), "channels,", dataset.class_to_idx)
    for images, labels in loader:
        print(tuple(images.shape), labels.dtype)
        break
