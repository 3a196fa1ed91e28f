# One figure: a metric of summary.csv against threads. Loaded by throughput.gp, speedup.gp, peak-rss.gp and fairness.gp, which set `metric` and
# `file_name`; `run` and `workload` come from the command line. Looks and texts come from summary.gp.
if (!exists("run") || !exists("workload")) {
  printerr "usage: gnuplot -e \"run='DIR'; workload='NAME'\" scripts/".file_name.".gp"
  exit status 2
}
if (!exists("out")) { out = run.'/figures/gnuplot' }
load run.'/summary.gp'
if (!is_known) {
  printerr "no values of ".metric." for workload '".workload."' in ".run."/summary.csv; there are: ".comparisons
  exit status 2
}
system("mkdir -p '".out."'")
figure = file_name.'-'.workload
width = 960
height = 580
if (has_ideal) { caption = caption.'; dotted: '.ideal_text }
if (remark eq '') { array notes[2] = [caption, machine] } else { array notes[3] = [caption, remark, machine] }
load here.'page.gp'

csv = run.'/summary.csv'
set datafile separator comma
set datafile columnheaders
n_lines = |labels|
n_threads = |thread_counts|
x_low = thread_counts[1] / 1.12
x_high = thread_counts[n_threads] * 1.12

# The rows of a line stand together, so that NaN for the others does not break it; a failed cell in it does.
is_row(i) = strcol('comparison') eq workload && strcol('metric') eq metric && strcol('label') eq labels[i]
at(i) = is_row(i) ? column('threads') * dodge[i] : NaN
# Points without a neighbour have a bar, where a band would have no width.
alone_at(i) = is_row(i) && strstrt(alone[i], ' '.strcol('threads').' ') > 0 && high(i) > low(i) ? at(i) : NaN
y(name) = strlen(strcol(name)) > 0 ? column(name) / scale : NaN
low(i) = strlen(strcol('ci_lo')) > 0 ? y('ci_lo') : y('min')
high(i) = strlen(strcol('ci_hi')) > 0 ? y('ci_hi') : y('max')
# From the first to the last thread count, as the lines; samples enough for a sharp knee.
set samples 2000
ideal(t) = t < thread_counts[1] || t > thread_counts[n_threads] ? NaN : \
  ideal_per_thread * (t < ideal_up_to ? t : ideal_up_to)
# The Universal Scalability Law of line i, where it was fitted.
law(i, t) = t < fit_low[i] || t > fit_high[i] ? NaN : \
  fit_base[i] * t / (1 + fit_sigma[i] * (t - 1) + fit_kappa[i] * t * (t - 1))

set lmargin at screen 0.08
set rmargin at screen 0.76
set bmargin at screen 0.19
set tmargin at screen 0.85

set logscale x 2
set xrange [x_low:x_high]
set xtics ()
do for [k = 1:n_threads] { set xtics add (sprintf('%d', int(thread_counts[k])) thread_counts[k]) }
set xlabel 'threads' offset 0, 0.5
set ylabel y_title
set grid ytics linetype 1 linewidth 0.5 linecolor rgb rule
set yrange [y_low:y_high]
if (is_log) {
  set logscale y 10
  set ytics ()
  set mytics 1
  do for [k = 1:|log_ticks|] { set ytics add (sprintf('%g', log_ticks[k]) log_ticks[k]) }
}
set key at screen 0.785, 0.85 left top Left reverse noenhanced font ',9' samplen 3 spacing 1.25 width -1

if (shade_from > 0) {
  set object 1 rectangle from first shade_from, graph 0 to first x_high, graph 1 behind \
    fillcolor rgb '#F1EFEA' fillstyle solid noborder
  set label 6 'oversubscribed' at graph 1, graph 1.02 right font ',8' textcolor rgb faint
}
do for [k = 1:|limit_at|] {
  if (limit_at[k] > 0) {
    set arrow from first limit_at[k], graph 0 to first limit_at[k], graph 1 nohead back \
      dashtype 3 linecolor rgb faint linewidth 0.8
    set label limit_text[k] at first limit_at[k], graph 1.02 center font ',8' textcolor rgb faint
  }
}

do for [kind in 'png svg'] {
  eval terminal_of(kind)
  set output file_of(kind)
  plot for [i = 1:n_lines] csv using (at(i)):(low(i)):(high(i)) with filledcurves \
         fillcolor rgb colours[i] fillstyle transparent solid 0.12 noborder notitle, \
       for [i = 1:n_lines] csv using (alone_at(i)):(y('median')):(low(i)):(high(i)) with yerrorbars \
         pointtype 0 linewidth 1.2 linecolor rgb colours[i] notitle, \
       has_ideal ? ideal(x) : NaN with lines dashtype 3 linewidth 1 linecolor rgb faint notitle, \
       for [i = 1:n_fits] law(i, x) with lines dashtype 5 linewidth 0.8 linecolor rgb fit_colour[i] notitle, \
       for [i = 1:n_lines] csv using (at(i)):(y('median')) with linespoints linewidth 1.6 dashtype int(dashes[i]) \
         pointtype int(point_types[i]) pointsize 1.4 linecolor rgb colours[i] title titles[i]
  set output
}
