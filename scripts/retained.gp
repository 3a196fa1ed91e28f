# Memory retained after everything was freed, as bars, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; figure='retained-robson-2t'" scripts/retained.gp
script = 'retained'
here = ARG0[1:strlen(ARG0) - strlen('retained.gp')]
load here.'figure.gp'
n_rows = |titles|
n_bars = |bar_row|
width = 960
height = 190 + 42 * n_rows
load here.'page.gp'

set lmargin at screen names_width / (1.0 * width)
set rmargin at screen 1 - 30.0 / width
set bmargin at screen above(95)
set tmargin at screen 1 - above(95)
set xrange [0:x_high]
set yrange [n_rows + 0.5:0.5]
unset ytics
do for [i = 1:n_rows] { set label titles[i] at graph 0, first i right offset -1, 0 noenhanced }
set xlabel x_title offset 0, 0.3
set grid xtics linetype 1 linewidth 0.5 linecolor rgb rule
do for [k = 1:n_bars] {
  if (bar_value[k] > 0) {
    set object k rectangle from 0, bar_row[k] - bar_half to (bar_value[k] > x_high ? x_high : bar_value[k]), bar_row[k] + bar_half \
      front fillcolor rgb bar_colour[k] fillstyle solid noborder
  }
  if (bar_high[k] > bar_low[k]) {
    set arrow from bar_low[k], bar_row[k] to bar_high[k], bar_row[k] nohead front linewidth 0.9 linecolor rgb ink
  }
}
if (live > 0) {
  set arrow from live, graph 0 to live, graph 1 nohead front dashtype 3 linewidth 0.9 linecolor rgb faint
  set label 'live at the peak' at live, graph 1 center offset 0, 0.5 font ',8' textcolor rgb faint
}
do for [kind in 'png svg'] {
  eval terminal_of(kind)
  set output file_of(kind)
  plot NaN notitle
  set output
}
