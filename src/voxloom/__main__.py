"""``python -m voxloom`` is ``voxloom``."""

from voxloom.cli import main

if __name__ == "__main__":
    main()
