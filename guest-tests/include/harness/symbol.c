// SPDX-License-Identifier: GPL-2.0-only
#include <linux/string.h>

#include <harness/symbol.h>

unsigned long symbol_address(const char *name)
{
	struct kprobe probe = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
	unsigned long address;

	if (register_kprobe(&probe))
		return 0;
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
#ifdef CONFIG_X86_KERNEL_IBT
	/* Since 5.18 a probe on a function's entry sits behind its ENDBR. */
	address -= 4;
#endif
	return address;
}

int probe_function(struct kprobe *probe, const char *const *names, size_t count,
		   kprobe_pre_handler_t entry)
{
	kprobe_post_handler_t after = probe->post_handler;
	int error = -ENOENT;
	size_t i;

	for (i = 0; i < count && error == -ENOENT; i++) {
		memset(probe, 0, sizeof(*probe));
		probe->symbol_name = names[i];
		probe->pre_handler = entry;
		probe->post_handler = after;
		error = register_kprobe(probe);
	}
	if (error)
		probe->pre_handler = NULL;
	return error;
}

void probe_remove(struct kprobe *probe)
{
	if (probe->pre_handler)
		unregister_kprobe(probe);
	probe->pre_handler = NULL;
}

int return_probe(struct kretprobe *probe, const char *const *names, size_t count)
{
	int error = -ENOENT;
	size_t i;

	for (i = 0; i < count && error == -ENOENT; i++) {
		probe->kp = (struct kprobe){ .symbol_name = names[i] };
		error = register_kretprobe(probe);
	}
	if (error)
		probe->kp = (struct kprobe){};
	return error;
}

void return_probe_remove(struct kretprobe *probe)
{
	if (probe->kp.addr)
		unregister_kretprobe(probe);
	probe->kp = (struct kprobe){};
}

static void hook_match(struct tracepoint *point, void *wanted)
{
	struct hook *hook = wanted;

	if (!strcmp(point->name, hook->name))
		hook->point = point;
}

void hooks_detach(struct hook *hooks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (hooks[i].point)
			tracepoint_probe_unregister(hooks[i].point, hooks[i].probe,
						    hooks[i].data);
		hooks[i].point = NULL;
	}
	tracepoint_synchronize_unregister();
}

int hooks_attach(struct hook *hooks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		int error = -ENOENT;

		for_each_kernel_tracepoint(hook_match, &hooks[i]);
		if (!hooks[i].point && hooks[i].optional)
			continue;
		if (hooks[i].point)
			error = tracepoint_probe_register(hooks[i].point, hooks[i].probe,
							  hooks[i].data);
		if (error) {
			pr_err("harness: tracepoint %s: error %d\n", hooks[i].name, error);
			hooks[i].point = NULL;
			hooks_detach(hooks, i);
			return error;
		}
	}
	return 0;
}
