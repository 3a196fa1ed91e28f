# Throughput against threads, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; workload='larson'" scripts/throughput.gp
metric = 'ops_per_s'
file_name = 'throughput'
here = ARG0[1:strlen(ARG0) - strlen('throughput.gp')]
load here.'curves.gp'
