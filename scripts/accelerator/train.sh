#!/bin/sh
# Trains a shipped model on a GPU for some minutes, and goes on where the last call stopped.
#
#   sh scripts/accelerator/train.sh NAME OUT --data PATH [--wheels DIR] [--minutes M] [--dry-run]
#
# NAME is a shipped model, see `trainings.py`; PATH a folder of pictures, such as BSDS500, or the
# archive of CT slices. OUT/NAME: the run, which the same command goes on with. OUT/models: weights
# and card. They replace the shipped ones by `python -m scripts.accelerator.replace` alone.

usage="train.sh NAME OUT --data PATH [--wheels DIR] [--minutes M] [--dry-run]"
minutes=10
named=yes name=""
. "$(dirname "$0")/prepare.sh"

[ -n "$data" ] || refuse "--data is missing"
"$python" -m scripts.accelerator.trainings "$name" --data "$data" --out "$out" \
  --device "$device" --seconds $(($(left) - 20)) ${dry:+--tiny}
