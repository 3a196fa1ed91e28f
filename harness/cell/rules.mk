# The measured process. It links libc alone: what else it loaded would be in every allocator's memory figures.
CELL_OBJS := $(call obj,$(wildcard harness/cell/*.c))
# Its code and data share pages (noseparate-code) to keep that share small.
ALL += $(B)/cell

$(B)/cell: $(CELL_OBJS) $(WORKLOAD_OBJS) $(ALLOCATOR_OBJS)
	@mkdir -p $(@D)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -Wl,-z,noseparate-code -o $@ $^ -lpthread -ldl
