# `make plots RUN=results/...` writes summary.csv and draws the figures of a run with matplotlib and with gnuplot.
.PHONY: plots
plots:
	@test -n "$(RUN)" || { echo "usage: make plots RUN=results/..." >&2; exit 2; }
	@scripts/python scripts/plot.py "$(RUN)"
	@scripts/plot-gnuplot.sh "$(RUN)"
