#include "harness/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "harness/bench.h"
#include "harness/units.h"

#define BAR_WIDTH 10

void progress_start(struct progress *progress, FILE *out, const struct plan *plan, const bool *is_done) {
    *progress = (struct progress){.out = out, .n_total = plan->n_cells, .started_ns = bench_now_ns()};
    progress->is_terminal = plan->n_cells > 0 && isatty(fileno(out)) == 1;
    for (size_t i = 0; i < plan->n_cells; i++) {
        if (is_done[i])
            progress->n_done++;
        else
            progress->estimate_left_ns += plan_cell_estimate_ns(&plan->cells[i]);
    }
}

/* The plan's estimate, corrected by how true it was so far. */
static uint64_t time_left_ns(const struct progress *progress) {
    double pace = 1;
    if (progress->estimate_done_ns > 0)
        pace = (double)(bench_now_ns() - progress->started_ns) / (double)progress->estimate_done_ns;
    return (uint64_t)((double)progress->estimate_left_ns * pace);
}

static void write_name(FILE *out, const struct plan_cell *cell) {
    char label[GRAMMAR_LABEL_MAX];
    grammar_allocator_label(cell->allocator, label, sizeof label);
    fprintf(out, "%s, %s, %u thread%s, %s %u", cell->workload->row->name, label, cell->slots->n_threads,
            cell->slots->n_threads == 1 ? "" : "s", pass_name(cell->pass), cell->repetition);
}

/* One line, cut to the width of the terminal: a line that wraps cannot be taken back. */
static void show_line(const struct progress *progress, const char *line) {
    struct winsize size;
    int width =
        ioctl(fileno(progress->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
    fprintf(progress->out, "\r\033[K%.*s", width, line);
    fflush(progress->out);
}

void progress_cell_starts(const struct progress *progress, const struct plan_cell *cell) {
    static const char full[] = "##########", empty[] = "..........";
    if (!progress->is_terminal)
        return;
    int n = (int)(progress->n_done * BAR_WIDTH / progress->n_total);
    char left[32], line[1024] = "";
    units_format_duration(time_left_ns(progress), left, sizeof left);
    FILE *out = fmemopen(line, sizeof line, "w");
    if (out == NULL)
        return;
    fprintf(out, "[%.*s%.*s] %zu/%zu, %s left  ", n, full, BAR_WIDTH - n, empty, progress->n_done,
            progress->n_total, left);
    write_name(out, cell);
    fclose(out);
    show_line(progress, line);
}

void progress_cell_ends(struct progress *progress, const struct record *r) {
    const struct cell_result *x = &r->result;
    uint64_t estimate_ns = plan_cell_estimate_ns(r->cell);
    progress->n_done++;
    progress->estimate_done_ns += estimate_ns;
    progress->estimate_left_ns -=
        estimate_ns < progress->estimate_left_ns ? estimate_ns : progress->estimate_left_ns;
    if (progress->is_terminal && !status_is_failure(r->status))
        return;
    fprintf(progress->out, progress->n_total > 0 ? "%s[%zu/%zu] " : "%s[%zu] ",
            progress->is_terminal ? "\r\033[K" : "", progress->n_done, progress->n_total);
    write_name(progress->out, r->cell);
    fprintf(progress->out, ": %s", status_name(r->status));
    if (r->status != STATUS_OK)
        fprintf(progress->out, " (%s)", r->why);
    else if (r->cell->pass == PASS_TIMED && x->window_ns != UINT64_MAX && x->window_ops != UINT64_MAX &&
             x->window_ns > 0)
        fprintf(progress->out, ", %.3g M ops/s", (double)x->window_ops / (double)x->window_ns * 1e3);
    fputc('\n', progress->out);
    fflush(progress->out);
}

void progress_end(const struct progress *progress) {
    if (progress->is_terminal)
        fputs("\r\033[K", progress->out);
}
