# Memory held over time, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; figure='memory-robson-2t'" scripts/memory.gp
script = 'memory'
here = ARG0[1:strlen(ARG0) - strlen('memory.gp')]
load here.'figure.gp'
width = 960
height = 580
load here.'page.gp'

csv = run.'/memory-summary.csv'
set datafile separator comma
set datafile columnheaders
n_lines = |labels|
x_of(kind, label) = strcol('figure') eq figure && strcol('kind') eq kind && strcol('label') eq label ? column('seconds') : NaN

set lmargin at screen 0.08
set rmargin at screen 0.76
set bmargin at screen 0.17
set tmargin at screen 0.87
set xrange [0:x_high]
set yrange [0:y_high]
set xlabel 'seconds' offset 0, 0.5
set ylabel 'MiB held'
set grid ytics linetype 1 linewidth 0.5 linecolor rgb rule
set key at screen 0.785, 0.87 left top Left reverse noenhanced font ',9' samplen 3 spacing 1.25 width -1

do for [kind in 'png svg'] {
  eval terminal_of(kind)
  set output file_of(kind)
  plot for [i = 1:has_live] csv using (x_of('live', '')):(column('mib')) with filledcurves y=0 \
         fillcolor rgb live_colour fillstyle solid noborder title 'live bytes', \
       for [i = 1:n_lines] csv using (x_of('held', labels[i])):(column('mib')) with lines linewidth 1.6 \
         dashtype int(dashes[i]) linecolor rgb colours[i] title titles[i]
  set output
}
