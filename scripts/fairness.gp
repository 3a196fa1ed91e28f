# Slowest over fastest thread, by operations, against threads: PNG and SVG into RUN/figures/gnuplot (or `out`):
#   scripts/python scripts/summarize.py results/RUN
#   gnuplot -e "run='results/RUN'; workload='larson'" scripts/fairness.gp
metric = 'fairness'
file_name = 'fairness'
here = ARG0[1:strlen(ARG0) - strlen('fairness.gp')]
load here.'curves.gp'
