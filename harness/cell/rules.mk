# The measured process. It links libc alone: what else it loaded would be in every allocator's memory figures.
CELL_OBJS := $(call obj,$(wildcard harness/cell/*.c))
# To keep that share small its code and data share pages (noseparate-code), and it has a fixed address (no-pie): tables
# of pointers then need no relocation, and their pages stay those of the file.
ALL += $(B)/cell

$(B)/cell: $(CELL_OBJS) $(WORKLOAD_OBJS) $(ALLOCATOR_OBJS)
	@mkdir -p $(@D)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -no-pie -Wl,-z,noseparate-code -o $@ $^ -lpthread -ldl

# The same cell with workloads that do not do what they are told.
$(B)/idle/cell: $(CELL_OBJS) $(ALLOCATOR_OBJS) $(call obj,workloads/cell.c tests/integration/idle_workloads.c)
	@mkdir -p $(@D)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lpthread -ldl
fixtures: $(B)/idle/cell
