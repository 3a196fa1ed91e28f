# Loads the look of the one figure that is asked for; loaded by memory.gp, retained.gp, ratios.gp and tradeoff.gp, which set `script`.
if (!exists("run") || !exists("figure")) {
  printerr "usage: gnuplot -e \"run='DIR'; figure='NAME'\" scripts/".script.".gp"
  exit status 2
}
if (!exists("out")) { out = run.'/figures/gnuplot' }
is_known = 0
load run.'/figures.gp'
if (!is_known) {
  printerr "no figure '".figure."' in ".run."/figures.gp; there are: ".known_figures
  exit status 2
}
system("mkdir -p '".out."'")
