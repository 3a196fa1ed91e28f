#!/bin/sh
# The comparison that the arena allocator is judged by, in instructions, throughput and whole programs: `make bar`
# calls it.
#
#   scripts/bar.sh [DIR]     DIR: new folder (default: results/bar- and the time)
#
#   DIR/pair         the twelve patterns of `pair`: instructions (callgrind), faults, nanoseconds
#   DIR/pair-idle    the same with a second thread alive that has allocated
#   DIR/throughput   malloc-test, larson, prodcons at 1 to 64 threads; BAR_WORKLOADS names others
#   DIR/programs     whole programs under LD_PRELOAD, redis among them, with their targets (scripts/bar_programs.py)
#
# BAR_PARTS names the parts to run (default: pair pair-idle throughput programs).
# Interleaved repetitions by run-bench itself; BAR_REPS is their number (default 10), BAR_DURATION the window of the timed
# cells (default: run-bench's own). An interrupted part is resumed with
# `run-bench --resume`.
set -eu
cd "$(dirname "$0")/.."
out=${1:-results/bar-$(date -u +%Y%m%d-%H%M%S)}
reps=${BAR_REPS:-10}
peers=arena,glibc,jemalloc,mimalloc,tcmalloc,tbbmalloc
parts=${BAR_PARTS:-pair pair-idle throughput programs}
for name in $parts; do
  case $name in
    pair | pair-idle | throughput | programs) ;;
    *)
      echo "bar.sh: BAR_PARTS: '$name': allowed are pair, pair-idle, throughput, programs" >&2
      exit 2
      ;;
  esac
done
patterns=
for order in lifo batch; do
  for size in 16 64 512 8k 64k 1m; do
    patterns=$patterns${patterns:+,}pair@$order-$size
  done
done
status=0

# part NAME OPTION...: 4 means that some cells failed; they are named in the table, and the other parts are run.
part() {
  name=$1
  shift
  code=0
  ./run-bench --out "$out/$name" --reps "$reps" ${BAR_DURATION:+--duration "$BAR_DURATION"} "$@" || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 4 ] || exit "$code"
  [ "$code" -eq 0 ] || status=$code
}

is_wanted() {
  case " $parts " in
    *" $1 "*) ;;
    *) return 1 ;;
  esac
}

mkdir -p "$out"
if is_wanted pair; then
  part pair --threads 1 --workloads "$patterns" --instructions callgrind --allocators "$peers,floor"
  scripts/python scripts/pair_table.py "$out/pair" | tee "$out/pair.txt"
fi
if is_wanted pair-idle; then
  part pair-idle --threads 1 --workloads "$patterns" --param pair.idle_threads=1 --instructions callgrind \
    --allocators "$peers,floor"
  scripts/python scripts/pair_table.py "$out/pair-idle" | tee "$out/pair-idle.txt"
fi
if is_wanted throughput; then
  part throughput --threads 1,2,4,8,16,64 --workloads "${BAR_WORKLOADS:-malloc-test,larson,prodcons}" --allocators "$peers"
  scripts/python scripts/ratio_table.py "$out/throughput" | tee "$out/throughput.txt"
fi
if is_wanted programs; then
  code=0
  scripts/python scripts/bar_programs.py --reps "$reps" --out "$out/programs" || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 4 ] || exit "$code"
  [ "$code" -eq 0 ] || status=$code
fi
echo "written to $out"
exit "$status"
