"""A counter-example: inpainting with a fixed mask does not commute with turns."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def main(options: argparse.Namespace) -> None:
    raise NotImplementedError
