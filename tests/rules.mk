# Every tests/unit/X.c becomes $(B)/tests/X; the first word of its name says what it is linked with:
#   biglock_X    the prefixed static biglock-X
#   arena_*      the prefixed static arena        allocator_*  the allocators' loading and proving
#   workload_*   the workloads and a fake cell (workload_*_clang: compiled by clang -O3)
#   cell_*       what drives the built cell binary, or nothing: includes the file that it tests
#   anything else: the driver's modules
UNIT_HELPERS := tests/unit/fake_cell.c tests/unit/real_cell.c tests/unit/classic.c $(if $(filter-out release,$(VARIANT)),%_clang.c)
UNIT_SRCS := $(filter-out $(UNIT_HELPERS),$(wildcard tests/unit/*.c))
UNITS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRCS))
UNIT_ARENA := $(filter $(B)/tests/arena_%,$(UNITS))
UNIT_BIGLOCK := $(filter $(B)/tests/biglock_%,$(UNITS))
UNIT_WORKLOAD := $(filter $(B)/tests/workload_%,$(UNITS))
UNIT_CLANG := $(filter %_clang,$(UNIT_WORKLOAD))
UNIT_ALLOCATOR := $(filter $(B)/tests/allocator_%,$(UNITS))
UNIT_CELL := $(filter $(B)/tests/cell_%,$(UNITS))
UNIT_DRIVER := $(filter-out $(UNIT_ARENA) $(UNIT_BIGLOCK) $(UNIT_WORKLOAD) $(UNIT_ALLOCATOR) $(UNIT_CELL),$(UNITS))

$(UNIT_ARENA): $(B)/libarena-prefixed.a
$(UNIT_BIGLOCK): $(B)/tests/biglock_%: $(B)/libbiglock-%-prefixed.a $(call obj,tests/unit/classic.c tests/fuzz/heap_ops.c)
$(UNIT_WORKLOAD): $(call obj,$(wildcard tests/unit/fake_cell.c)) $(ALLOCATOR_OBJS)
$(filter-out $(UNIT_CLANG),$(UNIT_WORKLOAD)): $(WORKLOAD_OBJS)
$(UNIT_CLANG): $(WORKLOAD_CLANG_OBJS)
$(UNIT_ALLOCATOR): $(ALLOCATOR_OBJS)
$(UNIT_CELL): | $(B)/cell
$(B)/tests/cell_run $(B)/tests/cell_faults: $(call obj,tests/unit/real_cell.c)
$(UNIT_DRIVER): $(HARNESS_OBJS) $(WORKLOAD_OBJS) $(ALLOCATOR_OBJS)
$(UNIT_DRIVER): TEST_LIBS := $(HARNESS_LIBS)

$(UNITS): $(B)/tests/%: $(B)/obj/tests/unit/%.o
	@mkdir -p $(@D)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(TEST_LIBS) -lpthread -ldl -lm

.PHONY: units
units: $(UNITS)

# `make check` builds and runs every suite in every variant and ends with one line that adds them up.
# What a suite is, and what it runs, stands in tests/run.
check:
	@tests/run

.PHONY: lint lint-format lint-layers lint-tidy lint-cppcheck lint-shell lint-python
LINT_JOBS ?= $(shell nproc)
C_FILES = $(shell git ls-files '*.c' '*.h')
C_SRCS = $(filter-out tests/%,$(filter %.c,$(C_FILES)))
SH_FILES = $(shell git ls-files '*.sh' '*.bash') run-bench .ci/run tests/run scripts/python
PY_FILES = $(shell git ls-files '*.py')
lint: lint-format lint-layers lint-tidy lint-cppcheck lint-shell lint-python
lint-format:
	clang-format-14 --dry-run --Werror $(C_FILES)
lint-layers:
	scripts/python scripts/check_layers.py
lint-tidy:
	printf '%s\n' $(C_SRCS) | xargs -P $(LINT_JOBS) -n 1 sh -c 'clang-tidy-14 --quiet "$$@" -- $(CPPFLAGS) -std=c11 2>/dev/null' tidy
# Two jobs always: with one, cppcheck guesses at calls from file to file, and is wrong.
lint-cppcheck:
	cppcheck --quiet --std=c11 --inline-suppr --error-exitcode=1 --enable=warning,performance,portability \
	  --suppress=unusedStructMember -I. -D_GNU_SOURCE -D__x86_64__ -j 2 $(C_SRCS)
lint-shell:
	shellcheck $(SH_FILES)
lint-python:
	scripts/python -m flake8 $(PY_FILES)
