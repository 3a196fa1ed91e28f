# Throughput against peak RSS, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; figure='tradeoff-larson'" scripts/tradeoff.gp
script = 'tradeoff'
here = ARG0[1:strlen(ARG0) - strlen('tradeoff.gp')]
load here.'figure.gp'
n_points = |labels|
width = 860
height = 520
load here.'page.gp'

set lmargin at screen 0.09
set rmargin at screen 0.75
set bmargin at screen 0.2
set tmargin at screen 0.85
set xrange [0:x_high]
set yrange [0:y_high]
set xlabel x_title offset 0, 0.3
set ylabel y_title
set grid linetype 1 linewidth 0.5 linecolor rgb rule
set key at screen 0.765, 0.85 left top Left reverse noenhanced font ',9' samplen 1 spacing 1.25 width -1
do for [i = 1:n_points] {
  set arrow from rss_low[i], rate[i] to rss_high[i], rate[i] nohead linewidth 1 linecolor rgb colours[i]
  set arrow from rss[i], rate_low[i] to rss[i], rate_high[i] nohead linewidth 1 linecolor rgb colours[i]
}
do for [kind in 'png svg'] {
  eval terminal_of(kind)
  set output file_of(kind)
  plot front_rss using (front_rss[$1]):(front_rate[$1]) with steps dashtype 2 linewidth 0.9 linecolor rgb faint notitle, \
       for [i = 1:n_points] [t = i:i] '+' using (rss[i]):(rate[i]) with points pointtype int(point_types[i]) pointsize 1.6 \
         linewidth 1.6 linecolor rgb colours[i] title titles[i]
  set output
}
