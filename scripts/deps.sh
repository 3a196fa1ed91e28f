#!/bin/sh
# Installs what building, testing and plotting need, on Debian and Ubuntu as root.
# Elsewhere, or without root, says exactly what is needed and stops with exit code 2.
# Calls the package manager only if something is missing, so it is free to run again.
#
#   scripts/deps.sh                everything
#   scripts/deps.sh GOAL...        what these make goals need: without the tests' packages unless one of them tests
set -eu

# One line a purpose; Debian 12 names. To build, measure and draw:
packages="
  gcc libc6-dev make git
  libhwloc-dev libnuma-dev libjansson-dev libssl-dev
  libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 libtbbmalloc2 libclang-rt-14-dev
  valgrind strace
  gnuplot-nox fonts-dejavu-core python3-matplotlib python3-pandas python3-scipy python3-statsmodels python3-jinja2
"
# To test and lint:
check_packages="
  g++ libcmocka-dev bats python3-pytest python3-jsonschema python3-yaml hwloc-nox procps
  libbenchmark-tools python3-junitparser
  redis-server perl sqlite3 chromium
  clang-14 clang-format-14 clang-tidy-14 cppcheck shellcheck python3-flake8
"
needs_checks=1
if [ $# -gt 0 ]; then
  needs_checks=0
  for goal in "$@"; do
    case $goal in
      all | bench | plots) ;;
      bar) packages="$packages redis-server" ;;
      *) needs_checks=1 ;;
    esac
  done
fi
[ "$needs_checks" -eq 0 ] || packages="$packages $check_packages"

wanted() {
  for p in $packages; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)
    [ "$state" = installed ] || printf '%s ' "$p"
  done
}

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
  echo "deps: this is not a Debian or Ubuntu system. Install the equivalents of these Debian 12 packages, then run make:" >&2
  echo "$packages" >&2
  exit 2
fi

missing=$(wanted)
if [ -z "$missing" ]; then
  echo "deps: everything is installed"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "deps: these packages are missing, and installing them needs root. Run:" >&2
  echo "  sudo apt-get install --no-install-recommends $missing" >&2
  exit 2
fi

echo "deps: installing $missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086  # a list of words
apt-get install -y -q --no-install-recommends $missing
still=$(wanted)
[ -z "$still" ] || { echo "deps: still missing after the installation: $still" >&2; exit 2; }
