NULL_OBJS := $(call obj,allocators/null/null.c)
$(NULL_OBJS): CFLAGS_LOCAL := -fPIC -fvisibility=hidden -fno-builtin -ftls-model=initial-exec
$(B)/libnull.so: $(NULL_OBJS)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libnull.so -o $@ $^ -lpthread
ALL += $(B)/libnull.so
