# heapdyno. The two commands of the README: `make deps bench` and `make deps check`.
#
#   make [VARIANT=release|debug|hardened|asan|ubsan|tsan]   build into build/ or build/VARIANT/
#   make deps     install what is missing (Debian/Ubuntu, as root); `make deps bench` leaves out what only tests need
#   make bench    quick profile over all installed allocators, figures drawn
#   make bar      the comparison that arena is judged by: instructions, throughput, whole programs (hours)
#   make check    every variant, lint, every test
#   make lint     format, layers, static analysis
#   make clean
#   V=1 shows the commands
#
# The rules of a folder stand in its rules.mk; this file holds what they share.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

ifneq ($(filter deps,$(MAKECMDGOALS)),)
# `deps` comes before everything else, also under -j: the other goals run in a make of their own after it.
GOALS := $(filter-out deps,$(MAKECMDGOALS))
.PHONY: deps $(GOALS)
deps:
	@scripts/deps.sh $(GOALS)
ifneq ($(GOALS),)
$(firstword $(GOALS)): deps
	+@$(MAKE) $(GOALS)
$(wordlist 2,$(words $(GOALS)),$(GOALS)): $(firstword $(GOALS)) ;
endif
else

VARIANT ?= release
VARIANTS := release debug hardened asan ubsan tsan
ifeq ($(filter $(VARIANT),$(VARIANTS)),)
$(error VARIANT=$(VARIANT): allowed are $(VARIANTS))
endif
B := $(if $(filter release,$(VARIANT)),build,build/$(VARIANT))

CC := gcc
CXX := g++
OPT_release  := -O3 -DNDEBUG
OPT_hardened := -O3 -DNDEBUG -DARENA_HARDENED=1
OPT_debug    := -O1 -DARENA_HARDENED=1 -DARENA_DEBUG=1
OPT_asan     := -O1 -DARENA_DEBUG=1 -fsanitize=address -fno-omit-frame-pointer
OPT_ubsan    := -O1 -DARENA_DEBUG=1 -fsanitize=undefined -fno-sanitize-recover=undefined
OPT_tsan     := -O1 -fsanitize=thread
CPPFLAGS := -D_GNU_SOURCE -I.
CFLAGS := -std=c11 -g $(OPT_$(VARIANT)) -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
          -Wpointer-arith -Wcast-align -Wwrite-strings -Wvla -fno-common
LDFLAGS := $(filter -fsanitize%,$(OPT_$(VARIANT))) -Wl,-z,now
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

Q := $(if $(V),,@)
note = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)

RULES := $(wildcard allocators/rules.mk allocators/*/rules.mk workloads/rules.mk harness/rules.mk harness/*/rules.mk \
                    scripts/rules.mk tests/*/rules.mk tests/rules.mk)

$(B)/obj/%.o: %.c Makefile $(RULES)
	@mkdir -p $(@D)
	$(call note,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_LOCAL) -MMD -MP -c $< -o $@

include $(RULES)

.PHONY: all bench bar check lint clean
all: $(ALL)

bench: all
	@scripts/bench.sh

bar: all $(B)/stress/bar_program
	@scripts/bar.sh

clean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
endif
