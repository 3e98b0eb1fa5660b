"""lightnode-hil image: builds the emulated chip's image if needed and prints where it is."""

import argparse

from hil.mcu.image import image

EXAMPLE = "example: ./run hil image"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(options: argparse.Namespace) -> int:
    """0 when the image is there."""
    print(image().path)
    return 0
