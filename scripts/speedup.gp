# Speed-up against one thread, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; workload='larson'" scripts/speedup.gp
metric = 'speedup'
file_name = 'speedup'
here = ARG0[1:strlen(ARG0) - strlen('speedup.gp')]
load here.'curves.gp'
