# The two classics, each built twice from the same sources, as the arena allocator is and for its reasons:
#   $(B)/libbiglock-X.so          the public names, never instrumented
#   $(B)/libbiglock-X-prefixed.a  the names with biglock_; for unit tests and the sanitizers
BIGLOCK_DIR := allocators/biglock
BIGLOCK_NO_SANITIZE = $(filter-out -fsanitize% -fno-sanitize%,$(1))
BIGLOCK_CFLAGS := -fPIC -fvisibility=hidden -fno-builtin -fno-strict-aliasing
BIGLOCK_KINDS := dl phk

$(B)/obj/biglock-so/%.o: $(BIGLOCK_DIR)/%.c Makefile $(BIGLOCK_DIR)/rules.mk
	@mkdir -p $(@D)
	$(call note,CC)
	$(Q)$(CC) $(CPPFLAGS) $(call BIGLOCK_NO_SANITIZE,$(CFLAGS)) $(BIGLOCK_CFLAGS) -MMD -MP -c $< -o $@

$(B)/obj/biglock-prefixed/%.o: $(BIGLOCK_DIR)/%.c Makefile $(BIGLOCK_DIR)/rules.mk
	@mkdir -p $(@D)
	$(call note,CC)
	$(Q)$(CC) $(CPPFLAGS) -DBIGLOCK_PREFIXED $(CFLAGS) $(BIGLOCK_CFLAGS) -MMD -MP -c $< -o $@

$(BIGLOCK_KINDS:%=$(B)/libbiglock-%.so): $(B)/libbiglock-%.so: $(addprefix $(B)/obj/biglock-so/,%.o names.o os.o)
	$(call note,LD)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -Wl,--build-id -Wl,-z,now,-z,defs,-z,nodelete \
	    $(call BIGLOCK_NO_SANITIZE,$(LDFLAGS)) $^ -o $@ -lpthread

$(BIGLOCK_KINDS:%=$(B)/libbiglock-%-prefixed.a): $(B)/libbiglock-%-prefixed.a: \
    $(addprefix $(B)/obj/biglock-prefixed/,%.o names.o os.o)
	$(call note,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

ALL += $(BIGLOCK_KINDS:%=$(B)/libbiglock-%.so) $(BIGLOCK_KINDS:%=$(B)/libbiglock-%-prefixed.a)
