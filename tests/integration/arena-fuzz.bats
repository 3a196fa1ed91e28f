#!/usr/bin/env bats
# The heap driven by byte strings, under settings that change its geometry and its timing.

load driver

setup_file() {
  common_setup
  make -s -C "$ROOT" -j2 fuzz-driver >&2
}

setup() {
  common_setup
  SEEDS=8
  [ -z "${HEAPDYNO_LONG:-}" ] || SEEDS=200
}

# heap MALLOC_CONF: a range of seeds of its own each time.
heap() {
  echo "MALLOC_CONF=$1"
  MALLOC_CONF=$1 "$BUILD/fuzz/heap" --seeds 1000 $((1000 + SEEDS)) 8000
}

@test "random programs hold under every chunk size" {
  for lg in 18 19 20 21 22 23 24 25 26; do heap "lg_chunk:$lg"; done
}

@test "random programs hold under settings of the cache" {
  for conf in tcache:false tcache_max:0 tcache_max:1024 tcache_bytes:4096 tcache_gc_bytes:1024 tcache_fill_div:64 narenas:1; do
    heap "$conf"
  done
}

@test "random programs hold under settings of purging and filling" {
  for conf in dirty_decay_ms:0 dirty_decay_ms:1,muzzy_decay_ms:1 dirty_decay_ms:-1 junk:true zero:true thp:always \
    tcache_gc_bytes:1024,dirty_decay_ms:2,muzzy_decay_ms:3,lg_chunk:18; do
    heap "$conf"
  done
}

@test "every byte string is a program" {
  head -c 200000 "$BUILD/fuzz/heap" >"$BATS_TEST_TMPDIR/binary"
  head -c 100001 /dev/zero >"$BATS_TEST_TMPDIR/zeros"
  head -c 100001 /dev/zero | tr '\0' '\377' >"$BATS_TEST_TMPDIR/ones"
  head -c 3 /dev/zero >"$BATS_TEST_TMPDIR/three"
  : >"$BATS_TEST_TMPDIR/empty"
  "$BUILD/fuzz/heap" "$BATS_TEST_TMPDIR"/{binary,zeros,ones,three,empty}
}
