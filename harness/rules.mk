# The driver: harness/*.c is the parent process; what is measured is built from harness/cell/.
HARNESS_SRCS := $(filter-out harness/main.c,$(wildcard harness/*.c))
HARNESS_OBJS := $(call obj,$(HARNESS_SRCS))
HARNESS_LIBS := -lhwloc -ljansson -lcrypto -lnuma
$(call obj,harness/manifest.c): CFLAGS_LOCAL = -DBUILD_VARIANT='"$(VARIANT)"' -DBUILD_FLAGS='"$(CPPFLAGS) $(CFLAGS)"' \
  -DBUILD_WORKLOAD_FLAGS='"$(WORKLOAD_CFLAGS)"' -DBUILD_REVISION='"$(REVISION)"'

# Touched when another revision is built, so that the program names the one it was made from.
REVISION := $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null)
.PHONY: revision
$(B)/revision: revision
	@mkdir -p $(@D)
	@echo '$(REVISION)' | cmp -s - $@ || echo '$(REVISION)' >$@
$(call obj,harness/manifest.c): $(B)/revision

$(B)/run-bench: $(call obj,harness/main.c) $(HARNESS_OBJS) $(WORKLOAD_OBJS) $(ALLOCATOR_OBJS)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(HARNESS_LIBS) -lm -ldl
ALL += $(B)/run-bench

# A cell that misbehaves, in a folder of its own beside a driver that takes it for the real one.
$(B)/odd/cell: $(call obj,tests/integration/odd_cell.c)
	@mkdir -p $(@D)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^
$(B)/odd/run-bench: $(B)/run-bench
	@mkdir -p $(@D)
	cp $< $@
fixtures: $(B)/odd/cell $(B)/odd/run-bench
