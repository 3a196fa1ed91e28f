# Peak RSS against threads, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; workload='larson'" scripts/peak-rss.gp
metric = 'peak_rss_bytes'
file_name = 'peak-rss'
here = ARG0[1:strlen(ARG0) - strlen('peak-rss.gp')]
load here.'curves.gp'
