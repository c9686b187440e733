#!/bin/sh
# Puts the package through its paces on a GPU: one command, one folder of results.
#
#   sh scripts/accelerator/check.sh OUT [--wheels DIR] [--minutes M] [--dry-run]
#
# OUT/tests.txt and tests.xml: the tests that need a device, with the reason of each skip.
# OUT/check.json and check.md: measurements (`check.py`), and the page of them. OUT/missing.txt: what
# is not installed here, and what is left out for it. Ends with 1 where a test failed.

usage="check.sh OUT [--wheels DIR] [--minutes M] [--dry-run]"
minutes=4
. "$(dirname "$0")/prepare.sh"

status=0
set -- -m cuda tests/devices tests/operators
[ -z "$dry" ] || set -- tests/devices/test_maps.py tests/devices/test_runs.py
if [ -z "$dry" ] && "$python" -c 'import xdist' 2>/dev/null; then set -- -n 4 "$@"; fi
# At most half of the time for the tests; what they leave goes to the measurements. 0 has no limit.
half=$(($(left) / 2))
timeout -k 10 $((half > 0 ? half : 1)) "$python" -m scripts.accelerator.tests -p no:cacheprovider -rfEs -vv \
  --tb=short --continue-on-collection-errors --junitxml "$out/tests.xml" "$@" \
  >"$out/tests.txt" 2>&1 || status=1
tail -n 40 "$out/tests.txt"
sections check || status=1
"$python" -m scripts.accelerator.report "$out/check.json" -o "$out/check.md" || status=1
exit $status
