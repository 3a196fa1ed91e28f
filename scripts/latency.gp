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
set label 1 heading at screen 0.02, 0.955 left noenhanced font 'DejaVu Sans Bold,14'
set label 2 conditions at screen 0.02, 0.918 left noenhanced font ',8' textcolor rgb '#666666'
set label 3 caption at screen 0.02, 0.085 left noenhanced font ',8' textcolor rgb '#666666'
set label 4 machine at screen 0.02, 0.053 left noenhanced font ',8' textcolor rgb '#666666'

set border 3 linecolor rgb '#222222'
set logscale x 10
set logscale y 10
set xrange [x_low:x_high]
set yrange [y_low:y_high]
set xtics nomirror out ()
set ytics nomirror out ()
set mxtics 1
set mytics 1
do for [k = 1:|x_at|] { set xtics add (x_text[k] x_at[k]) }
do for [k = 1:|y_at|] { set ytics add (y_text[k] y_at[k]) }
set xlabel 'percentile' offset 0, 0.5
set ylabel 'latency (log scale)'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#DDDDDD'
set key at screen 0.785, 0.85 left top Left reverse noenhanced font ',9' samplen 3 spacing 1.25 width -1

do for [kind in 'png svg'] {
  if (kind eq 'png') {
    set terminal pngcairo size 1440,870 font 'DejaVu Sans,10' fontscale 1.45 linewidth 1.6 background '#FFFFFF'
  } else {
    set terminal svg size 960,580 font 'DejaVu Sans,10' fontscale 1.3 linewidth 1 background '#FFFFFF'
  }
  set output out.'/latency-'.operation.'-'.workload.'.'.kind
  plot for [i = 1:n_lines] csv using (at(i)):(column('low_ns')):(column('high_ns')) with filledcurves \
         fillcolor rgb colours[i] fillstyle transparent solid 0.12 noborder notitle, \
       timer_ns > 0 ? timer_ns : NaN with lines dashtype 3 linewidth 1 linecolor rgb '#666666' notitle, \
       for [i = 1:n_lines] csv using (at(i)):(column('ns')) with linespoints linewidth 1.6 dashtype int(dashes[i]) \
         pointtype int(point_types[i]) pointsize 1.4 linecolor rgb colours[i] title titles[i]
  set output
}
