# Sourced by check.sh, bench.sh and train.sh: their options, carried wheels, and what is missing here.
#
#   OUT            folder for the results
#   --wheels DIR   install these wheels for this run alone, into a folder of its own
#   --minutes M    take so long
#   --data PATH    pictures or slices to train on
#   --dry-run      on the CPU, tiny: does all of it run?
#
# PYTHON names the interpreter, python3 by default. What is missing, and what is left out for it, is
# written to OUT/missing.txt.

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$(pwd)
python=${PYTHON:-python3}
out="" wheels="" data="" dry=""

refuse() {
  echo "$(basename "$0"): $1; usage: $usage" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=yes; shift ;;
    --wheels | --minutes | --data)
      [ $# -gt 1 ] || refuse "$1 needs a value"
      case $1 in
        --wheels) wheels=$2 ;;
        --minutes) minutes=$2 ;;
        --data) data=$2 ;;
      esac
      shift 2 ;;
    -*) refuse "unknown option $1" ;;
    *)
      if [ -n "${named-}" ] && [ -z "$name" ]; then
        name=$1
      elif [ -z "$out" ]; then
        out=$1
      else
        refuse "$1 is one too many"
      fi
      shift ;;
  esac
done
[ -n "$out" ] || refuse "no folder for the results is given"
case $minutes in # 08 is no number to a shell
  '' | 0?* | *[!0-9]*) refuse "--minutes is $minutes, expected a whole number" ;;
esac
[ "$minutes" -gt 0 ] || refuse "--minutes is $minutes, expected 1 or more"
[ -z "$data" ] || [ -e "$data" ] ||
  refuse "--data is $data, where nothing is; expected a folder of pictures, or slices for CT"

mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -z "$data" ] || data=$(cd "$here" && realpath "$data")
deadline=$(($(date +%s) + 60 * minutes))
device=cuda
[ -z "$dry" ] || device=cpu

# Seconds until the end of this call, wheels and the start of Python counted in.
left() { echo $((deadline - $(date +%s))); }

# The sections of `check` or `bench`. Where one ends the process, a new one goes on after it.
sections() {
  rm -f "$out/$1.json"
  for _ in 1 2 3 4; do
    "$python" -m "scripts.accelerator.$1" "$out/$1.json" --device "$device" \
      --limit $(($(left) - 10)) --go-on && return
    [ "$(left)" -gt 0 ] || break
  done
  return 1
}

export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
if [ -n "$wheels" ]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" \
    "$wheels"/*.whl || refuse "the wheels of $wheels cannot be installed"
  PYTHONPATH="$PYTHONPATH:$site"
fi
cd "$root" || exit 2
"$python" -m scripts.accelerator.missing --device "$device" >"$out/missing.txt" || exit 2
cat "$out/missing.txt"
