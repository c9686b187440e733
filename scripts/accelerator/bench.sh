#!/bin/sh
# Measures the package on a GPU: one command, one folder of results.
#
#   sh scripts/accelerator/bench.sh OUT [--wheels DIR] [--minutes M] [--dry-run]
#
# OUT/bench.json and bench.md: measurements (`bench.py`), and the page of them. OUT/missing.txt: what
# is not installed here, and what is left out for it.

usage="bench.sh OUT [--wheels DIR] [--minutes M] [--dry-run]"
minutes=5
. "$(dirname "$0")/prepare.sh"

sections bench
status=$?
"$python" -m scripts.accelerator.report_bench "$out/bench.json" -o "$out/bench.md" || status=1
exit $status
