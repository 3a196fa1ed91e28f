# What all figures have in common: texts, colours of the frame, and the two files that each is written to. Loaded
# after `heading`, `conditions`, `width` and `height` (in hundredths of an inch) are known.
ink = '#222222'
faint = '#666666'
rule = '#DDDDDD'
# Height above the lower edge, in hundredths of an inch, as a share of the figure.
above(y) = y / (1.0 * height)

set label 1 heading at screen 0.02, above(height - 26) left noenhanced font 'DejaVu Sans Bold,14' textcolor rgb ink
set label 2 conditions at screen 0.02, above(height - 48) left noenhanced font ',8' textcolor rgb faint
do for [k = 1:|notes|] {
  set label 2 + k notes[k] at screen 0.02, above(16 * (|notes| - k) + 11) left noenhanced font ',8' textcolor rgb faint
}
set border 3 linecolor rgb ink
set xtics nomirror out
set ytics nomirror out

# Text in PNG is drawn at 150 dots an inch, in SVG in units of 1/100 inch.
terminal_of(kind) = kind eq 'png' ? \
  sprintf("set terminal pngcairo size %d,%d font 'DejaVu Sans,10' fontscale 1.45 linewidth 1.6 background '#FFFFFF'", \
          int(1.5 * width + 0.5), int(1.5 * height + 0.5)) : \
  sprintf("set terminal svg size %d,%d font 'DejaVu Sans,10' fontscale 1.3 linewidth 1 background '#FFFFFF'", width, height)
file_of(kind) = out.'/'.figure.'.'.kind
