# Latency by percentile, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; workload='larson'; operation='malloc'" scripts/latency.gp
if (!exists("run") || !exists("workload") || !exists("operation")) {
  printerr "usage: gnuplot -e \"run='DIR'; workload='NAME'; operation='malloc'\" scripts/latency.gp"
  exit status 2
}
if (!exists("out")) { out = run.'/figures/gnuplot' }
load run.'/latency-summary.gp'
if (!is_known) {
  printerr "no latencies of ".operation." for workload '".workload."' in ".run."; there are: ".pictures
  exit status 2
}
system("mkdir -p '".out."'")
here = ARG0[1:strlen(ARG0) - strlen('latency.gp')]
figure = 'latency-'.operation.'-'.workload
width = 960
height = 580
array notes[2] = [caption, machine]
load here.'page.gp'

csv = run.'/latency-summary.csv'
set datafile separator comma
set datafile columnheaders
n_lines = |labels|
is_row(i) = strcol('comparison') eq workload && strcol('operation') eq operation && strcol('label') eq labels[i]
at(i) = is_row(i) ? column('beyond') : NaN

set lmargin at screen 0.1
set rmargin at screen 0.76
set bmargin at screen 0.19
set tmargin at screen 0.85

set logscale x 10
set logscale y 10
set xrange [x_low:x_high]
set yrange [y_low:y_high]
set xtics ()
set ytics ()
set mxtics 1
set mytics 1
do for [k = 1:|x_at|] { set xtics add (x_text[k] x_at[k]) }
do for [k = 1:|y_at|] { set ytics add (y_text[k] y_at[k]) }
set xlabel 'percentile' offset 0, 0.5
set ylabel 'latency (log scale)'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb rule
set key at screen 0.785, 0.85 left top Left reverse noenhanced font ',9' samplen 3 spacing 1.25 width -1

do for [kind in 'png svg'] {
  eval terminal_of(kind)
  set output file_of(kind)
  plot for [i = 1:n_lines] csv using (at(i)):(column('low_ns')):(column('high_ns')) with filledcurves \
         fillcolor rgb colours[i] fillstyle transparent solid 0.12 noborder notitle, \
       timer_ns > 0 ? timer_ns : NaN with lines dashtype 3 linewidth 1 linecolor rgb faint notitle, \
       for [i = 1:n_lines] csv using (at(i)):(column('ns')) with linespoints linewidth 1.6 dashtype int(dashes[i]) \
         pointtype int(point_types[i]) pointsize 1.4 linecolor rgb colours[i] title titles[i]
  set output
}
