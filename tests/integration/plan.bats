#!/usr/bin/env bats
# Placement on machines this one is not, against hwloc's own tools.

load driver

setup_file() {
  common_build
}

setup() {
  common_setup
  MACHINE='pack:2 [numa] l3:4 core:4 pu:2'
}

# planned PLACEMENT THREADS: the units by slot.
planned() {
  HWLOC_SYNTHETIC=$MACHINE "$BENCH" --dry-run --threads "$2" --placement "$1" --allocators glibc --workloads larson |
    awk -v n="$2" '$1 == n { print $2; exit }'
}

@test "scatter is what hwloc-distrib says" {
  for n in 1 2 3 5 8 16 33 64; do
    oracle=$(hwloc-distrib -i "$MACHINE" --single --taskset "$n" | while read -r mask; do
      hwloc-calc -i "$MACHINE" --taskset -q -I pu "$mask"
    done | paste -sd';')
    [ "$(planned scatter $n)" = "$oracle" ]
  done
}

@test "cores is first units, then second units, as hwloc-calc lists them" {
  first=$(hwloc-calc -i "$MACHINE" -I pu core:all.pu:0 | tr , ';')
  second=$(hwloc-calc -i "$MACHINE" -I pu core:all.pu:1 | tr , ';')
  [ "$(planned cores 64)" = "$first;$second" ]
  [ "$(planned cores 32)" = "$first" ]
}

@test "compact is the units in order" {
  [ "$(planned compact 64)" = "$(hwloc-calc -i "$MACHINE" -I pu all | tr , ';')" ]
}

@test "the group all is every workload, once" {
  n=$("$BENCH" --list --allocators glibc | grep -c '^  [a-z0-9-]*, version ')
  run "$BENCH" --dry-run --threads 1 --reps 1 --allocators glibc --workloads all,core,larson
  [ "$n" -gt 30 ]
  [[ "$output" == *" 1 allocator x $n workloads x "* ]]
}

@test "more threads than units are marked" {
  HWLOC_SYNTHETIC=$MACHINE run "$BENCH" --dry-run --threads 64,65 --allocators glibc --workloads larson
  [ "$(grep -c '(oversubscribed)' <<<"$output")" -eq 1 ]
}

@test "an affinity mask is planned within" {
  last=$(hwloc-calc --restrict "$(hwloc-bind --get)" -q -p -I pu all | tr , '\n' | tail -1)
  run taskset -c "$last" "$BENCH" --dry-run --threads 2 --allocators glibc --workloads larson
  [ "$status" -eq 0 ]
  [[ "$output" == *"$last;$last  (oversubscribed)"* ]]
}

@test "a synthetic machine is not measured" {
  HWLOC_SYNTHETIC=$MACHINE run "$BENCH" --quick --allocators glibc --out "$OUT"
  [ "$status" -eq 2 ]
  [[ "$output" == *"not this machine's"* ]]
  [ ! -e "$OUT" ]
}

@test "no variable makes another machine's topology this one's" {
  HWLOC_THISSYSTEM=1 HWLOC_SYNTHETIC=$MACHINE run "$BENCH" --quick --allocators glibc --out "$OUT"
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the topology is not this machine's"* ]]
  [ ! -e "$OUT" ]
}
