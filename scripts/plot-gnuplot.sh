#!/bin/sh
# Draws the figures of a run with gnuplot, into RUN/figures/gnuplot: throughput, speed-up, peak RSS, fairness and latency
# of every workload, memory over time and retained, throughput against peak RSS, and the heat maps.
#
#   scripts/plot-gnuplot.sh RUN      RUN/summary.csv is written anew first
set -eu
if [ $# -ne 1 ] || [ ! -d "$1" ]; then
  echo "usage: plot-gnuplot.sh RUN (a run folder under results/)" >&2
  exit 2
fi
here=$(dirname "$(readlink -f "$0")")
"$here/python" "$here/summarize.py" --quiet "$1"
if [ -e "$1/latency-summary.gp" ]; then
  sed -n "s/^if (workload eq '\(.*\)' && operation eq '\(.*\)') {\$/\1 \2/p" "$1/latency-summary.gp" |
    while read -r workload operation; do
      (cd "$1" && gnuplot -e "run='.'; workload='$workload'; operation='$operation'" "$here/latency.gp")
      echo "$1/figures/gnuplot/latency-$operation-$workload.png"
      echo "$1/figures/gnuplot/latency-$operation-$workload.svg"
    done
fi
# The pictures there are: one line `workload metric` each; names of comparisons hold no blanks.
sed -n "s/^if (workload eq '\(.*\)' && metric eq '\(.*\)') {\$/\1 \2/p" "$1/summary.gp" |
  while read -r workload metric; do
    case $metric in
      ops_per_s) script=throughput ;;
      peak_rss_bytes) script=peak-rss ;;
      *) script=$metric ;; # speedup, fairness
    esac
    (cd "$1" && gnuplot -e "run='.'; workload='$workload'" "$here/$script.gp")
    echo "$1/figures/gnuplot/$script-$workload.png"
    echo "$1/figures/gnuplot/$script-$workload.svg"
  done
# Their names begin with that of the script that draws them.
sed -n "s/^if (figure eq '\(.*\)') {\$/\1/p" "$1/figures.gp" |
  while read -r figure; do
    (cd "$1" && gnuplot -e "run='.'; figure='$figure'" "$here/${figure%%-*}.gp")
    echo "$1/figures/gnuplot/$figure.png"
    echo "$1/figures/gnuplot/$figure.svg"
  done
