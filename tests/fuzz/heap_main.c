/*
 * Runs programs of heap operations (see heap_ops.h) from files, or from seeds:
 *
 *   heap_main FILE...          each file one program
 *   heap_main --seeds A B N    seeds A to B-1, N operations each
 *
 * Built with -fsanitize=fuzzer and -DHEAP_LIBFUZZER, the same is a libFuzzer target. Exit code 1: something did not
 * hold, and a line says which program and what.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/heap_ops.h"

#define MAX_LIVE_BYTES ((size_t)64 << 20)
#define MAX_PROGRAM_BYTES ((size_t)1 << 20)

static struct heap_ops ops;

#ifdef HEAP_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *program, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *program, size_t n_bytes) {
    heap_ops_init(&ops, &heap_calls_arena, 1, MAX_LIVE_BYTES);
    heap_ops_run(&ops, program, n_bytes);
    if (heap_ops_finish(&ops) != NULL) {
        fprintf(stderr, "heap: %s (size %zu)\n", ops.error, ops.error_at);
        abort();
    }
    return 0;
}

#else

static int report(const char *program) {
    const char *error = heap_ops_finish(&ops);
    if (error != NULL)
        fprintf(stderr, "heap_main: %s: %s (size %zu)\n", program, error, ops.error_at);
    return error != NULL;
}

static int run_file(const char *path) {
    static uint8_t program[MAX_PROGRAM_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t n = fread(program, 1, sizeof program, file);
    fclose(file);
    heap_ops_init(&ops, &heap_calls_arena, 1, MAX_LIVE_BYTES);
    heap_ops_run(&ops, program, n);
    return report(path);
}

static int run_seeds(uint64_t from, uint64_t to, size_t n_ops) {
    int n_bad = 0;
    for (uint64_t seed = from; seed < to; seed++) {
        char name[32];
        snprintf(name, sizeof name, "seed %lu", seed);
        heap_ops_init(&ops, &heap_calls_arena, seed << 32, MAX_LIVE_BYTES);
        heap_ops_run_random(&ops, seed << 32, n_ops);
        n_bad += report(name);
    }
    return n_bad != 0;
}

int main(int argc, char **argv) {
    int status = 0;
    if (argc == 5 && strcmp(argv[1], "--seeds") == 0)
        return run_seeds(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    for (int i = 1; i < argc; i++)
        status |= run_file(argv[i]);
    return status;
}

#endif
