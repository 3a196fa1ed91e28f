# Heat map of all allocators as multiples of one, PNG and SVG into RUN/figures/gnuplot (or `out`), after summarize.py:
#   gnuplot -e "run='results/RUN'; figure='ratios-throughput'" scripts/ratios.gp
script = 'ratios'
here = ARG0[1:strlen(ARG0) - strlen('ratios.gp')]
load here.'figure.gp'
n_rows = |row_titles|
n_columns = |column_titles|
head = 60 + 5.4 * longest_column
foot = 30 + 20 * |notes|
# The last name reaches beyond its column.
side = 5.6 * longest_column - 30
names = longest_row < 18 ? 175.0 : 30 + 8.0 * longest_row
width = int(names + 0.5) + 78 * n_columns + (side < 30 ? 30 : side)
if (width < 760) { width = 760 }
height = head + 42 * n_rows + foot
load here.'page.gp'

set lmargin at screen names / width
set rmargin at screen (names + 78 * n_columns) / width
set bmargin at screen above(foot)
set tmargin at screen above(foot + 42 * n_rows)
set xrange [0.5:n_columns + 0.5]
set yrange [n_rows + 0.5:0.5]
unset border
unset xtics
unset ytics
do for [i = 1:n_rows] { set label row_titles[i] at graph 0, first i right offset -1, 0 noenhanced font ',9' }
do for [j = 1:n_columns] { set label column_titles[j] at first j, graph 1 left rotate by 40 offset 0, 0.5 noenhanced font ',8.5' }
do for [k = 1:|cell_text|] {
  if (cell_colour[k] ne '') {
    set object 3 * k + 1 rectangle center cell_column[k], cell_row[k] size 0.96, 0.92 front \
      fillcolor rgb cell_colour[k] fillstyle solid noborder
    if (!cell_is_decided[k]) {
      set object 3 * k + 2 rectangle center cell_column[k], cell_row[k] size 0.96, 0.92 front \
        fillcolor rgb '#999999' fillstyle transparent pattern 4 noborder
      set object 3 * k + 3 rectangle center cell_column[k], cell_row[k] size 0.55, 0.5 front \
        fillcolor rgb cell_colour[k] fillstyle solid noborder
    }
  }
  set label cell_text[k] at cell_column[k], cell_row[k] center front font ',9' textcolor rgb ink
}
do for [kind in 'png svg'] {
  eval terminal_of(kind)
  set output file_of(kind)
  plot NaN notitle
  set output
}
