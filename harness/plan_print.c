/* The plan on paper: plan.csv, and the text of --dry-run. */
#include <inttypes.h>

#include "harness/csv.h"
#include "harness/plan.h"
#include "harness/units.h"

/* Means of a sweep of 840 cells on two units, eight allocators: a process with its loading, proof and probes; each
 * thread; a fixed-operations pass. Progress corrects the estimate by what it sees. */
#define START_NS 30000000ull
#define THREAD_NS 8000000ull
#define FIXED_OPS_NS 60000000ull
#define CALLGRIND_NS 4000000000ull
#define STRACE_NS 400000000ull
/* Of a watched cell besides its holds: the stages of a course, or ten times the operations of an audit. */
#define WATCHED_NS 600000000ull

uint64_t plan_cell_length_ns(const struct plan_cell *cell) {
    const struct workload_choice *w = cell->workload;
    bool is_course = cell->pass == PASS_RSS && cell->ops_total == 0;
    uint64_t hold_ms = is_course && w->row->course_hold_ms != NULL
                           ? w->row->course_hold_ms(w->params, cell->slots->n_threads)
                           : 0;
    return cell->duration_ns + cell->idle_ns + hold_ms * 1000000;
}

uint64_t plan_cell_estimate_ns(const struct plan_cell *cell) {
    if (cell->pass == PASS_INSTRUCTIONS) /* with more threads there is no process */
        return cell->slots->n_threads == 1 ? CALLGRIND_NS : 0;
    uint64_t work_ns = cell->ops_total != 0 ? FIXED_OPS_NS : cell->duration_ns;
    if (cell->pass == PASS_SHARING && cell->slots->n_threads == 1)
        return 0;
    if (cell->pass == PASS_SYSCALLS)
        work_ns += STRACE_NS;
    if (cell->pass == PASS_RSS)
        work_ns = WATCHED_NS + plan_cell_length_ns(cell);
    return START_NS + cell->slots->n_threads * THREAD_NS + work_ns;
}

void plan_write_header(FILE *out) {
    fputs("position,cell_id,pass,allocator,library,config,load,workload,workload_version,params,threads,"
          "placement,membind,pus,oversubscribed,block,slot,repetition,seed,duration_ns,ops_target\n",
          out);
}

void plan_write_row(FILE *out, size_t position, const struct plan_cell *cell) {
    fprintf(out, "%zu,%s,%s,", position, cell->cell_id, pass_name(cell->pass));
    csv_write_field(out, cell->allocator->name);
    fputc(',', out);
    csv_write_field(out, cell->allocator->path);
    fputc(',', out);
    csv_write_field(out, cell->allocator->config);
    fprintf(out, ",%s,%s,%u,", load_name(cell->load), cell->workload->row->name,
            cell->workload->row->version);
    plan_write_params(out, cell->workload);
    fprintf(out, ",%u,%s,", cell->slots->n_threads, placement_name(cell->slots->placement));
    membind_write(out, &cell->slots->membind);
    fputc(',', out);
    plan_write_pus(out, cell->slots);
    fprintf(out, ",%d,%u,%u,%u,%" PRIu64 ",", cell->slots->is_oversubscribed, cell->block, cell->slot,
            cell->repetition, cell->seed);
    if (cell->duration_ns != 0)
        fprintf(out, "%" PRIu64, cell->duration_ns);
    fputc(',', out);
    if (cell->ops_total != 0)
        fprintf(out, "%" PRIu64, cell->ops_total);
    fputc('\n', out);
}

void plan_write_csv(FILE *out, const struct plan *plan) {
    plan_write_header(out);
    for (size_t i = 0; i < plan->n_cells; i++)
        plan_write_row(out, i, &plan->cells[i]);
}

static void write_cell(FILE *out, size_t position, const struct plan_cell *cell) {
    char label[GRAMMAR_LABEL_MAX], length[64];
    grammar_allocator_label(cell->allocator, label, sizeof label);
    if (cell->ops_total != 0)
        snprintf(length, sizeof length, "%" PRIu64 " ops", cell->ops_total);
    else if (cell->duration_ns != 0)
        units_format_duration(cell->duration_ns, length, sizeof length);
    else
        snprintf(length, sizeof length, "one course");
    fprintf(out, "%6zu  %s  %-5s %5u  %-20s %-16s %4u  %s\n", position + 1, cell->cell_id,
            pass_name(cell->pass), cell->repetition, cell->workload->row->name, label, cell->slots->n_threads,
            length);
}

static void write_watching(FILE *out, const struct plan *plan) {
    size_t n = 0;
    for (size_t i = 0; i < plan->n_cells; i++)
        n += plan->cells[i].pass == PASS_RSS;
    if (n > 0)
        fprintf(out, "            %zu cells watched over time, a sample each %.4g ms\n", n,
                (double)plan->options->rss_interval_ns / 1e6);
}

/* The end of a plural. */
static const char *s_of(size_t n) {
    return n == 1 ? "" : "s";
}

void plan_write_text(FILE *out, const struct plan *plan, const struct topology *t) {
    char membind[MEMBIND_NAME_MAX];
    const struct options *o = plan->options;
    fprintf(out, "machine:    %u package%s, %u NUMA node%s, %u core%s, %u processing unit%s%s\n",
            t->n_packages, s_of(t->n_packages), t->n_nodes, s_of(t->n_nodes), t->n_cores, s_of(t->n_cores),
            t->n_pus, s_of(t->n_pus), t->is_thissystem ? "" : " (not this machine: plan only)");
    fprintf(out, "sweep:      %zu allocator%s x %zu workload%s x %u thread count%s x (%u audit%s + %u timed",
            o->allocators.n, s_of(o->allocators.n), o->n_workloads, s_of(o->n_workloads), o->threads.n,
            s_of(o->threads.n), o->reps, s_of(o->reps), o->is_audit_only ? 0 : o->reps);
    if (o->latency.is_on)
        fprintf(out, " + %u latency", o->reps);
    fprintf(out, "%s%s%s)\n", o->instrument == INSTRUMENT_CALLGRIND ? " + 1 instructions" : "",
            o->has_syscalls ? " + 1 syscalls" : "", o->has_sharing ? " + 1 sharing" : "");
    if (o->has_one_rep_beyond_core)
        fprintf(out, "            workloads outside the group core: 1 audit + 1 timed\n");
    write_watching(out, plan);
    fprintf(out, "conditions: load %s, placement %s, membind %s, seed %" PRIu64 "\n\n", load_name(o->load),
            placement_name(o->placement), membind_name(&o->membind, membind), o->seed);
    fprintf(out, "threads  processing units by slot\n");
    for (size_t i = 0; i < plan->n_slots; i++) {
        fprintf(out, "%7u  ", plan->slots[i].n_threads);
        if (plan->slots[i].pus == NULL)
            fputs("not pinned", out);
        plan_write_pus(out, &plan->slots[i]);
        fputs(plan->slots[i].is_oversubscribed ? "  (oversubscribed)\n" : "\n", out);
    }
    fprintf(out, "\n%6s  %-12s  %-5s %5s  %-20s %-16s %4s  %s\n", "", "cell", "pass", "rep", "workload",
            "allocator", "thr", "length");
    uint64_t total_ns = 0;
    for (size_t i = 0; i < plan->n_cells; i++) {
        write_cell(out, i, &plan->cells[i]);
        total_ns += plan_cell_estimate_ns(&plan->cells[i]);
    }
    char time[64];
    units_format_duration(total_ns, time, sizeof time);
    fprintf(out, "\n%zu cells, about %s\n", plan->n_cells, time);
}
