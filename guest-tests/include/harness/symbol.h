/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the kernel that are not exported to modules, and tracepoints, by name. */
#ifndef HARNESS_SYMBOL_H
#define HARNESS_SYMBOL_H

#include <linux/kprobes.h>
#include <linux/ptrace.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

/*
 * Address of the function called @name, 0 if there is none. A kprobe finds it: kallsyms_lookup_name
 * is no longer exported since 5.7. The probe is never armed.
 */
static __maybe_unused unsigned long symbol_address(const char *name)
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

/*
 * Call @entry whenever a function is entered: the first of @names that the kernel has; -ENOENT if
 * it has none. Not for @entry: anything that sleeps. Set post_handler beforehand, to a function that
 * does nothing, if @entry changes where execution goes on: x86 would optimize the probe otherwise,
 * and then pays no heed to that.
 */
static __maybe_unused int probe_function(struct kprobe *probe, const char *const *names,
					 size_t count, kprobe_pre_handler_t entry)
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

/* Where the @nth argument (from 0) of a function lies at its entry: it may be changed there. */
static __maybe_unused unsigned long *probe_argument(struct pt_regs *regs, unsigned int nth)
{
#if defined(CONFIG_X86_64)
	unsigned long *const arguments[] = {
		&regs->di, &regs->si, &regs->dx, &regs->cx, &regs->r8, &regs->r9,
	};

	return arguments[nth];
#elif defined(CONFIG_ARM64)
	return (unsigned long *)&regs->regs[nth];
#else
#error "say here which registers hold the arguments of a function"
#endif
}

/*
 * Let a function return @value from its entry, unexecuted. The handler of the probe must then
 * return 1. The kernel's own override_function_with_return() is not exported.
 */
static __maybe_unused void probe_return(struct pt_regs *regs, unsigned long value)
{
#if defined(CONFIG_X86_64)
	regs->ip = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
	regs->ax = value;
#elif defined(CONFIG_ARM64)
	regs->pc = regs->regs[30];
	regs->regs[0] = value;
#else
#error "say here how a function returns to its caller"
#endif
}

static __maybe_unused void probe_remove(struct kprobe *probe)
{
	if (probe->pre_handler)
		unregister_kprobe(probe);
	probe->pre_handler = NULL;
}

/* The same for the return of a function; @probe has its handlers set. */
static __maybe_unused int return_probe(struct kretprobe *probe, const char *const *names,
				       size_t count)
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

static __maybe_unused void return_probe_remove(struct kretprobe *probe)
{
	if (probe->kp.addr)
		unregister_kretprobe(probe);
	probe->kp = (struct kprobe){};
}

/* A probe on a tracepoint: name it, give the function, attach. */
struct hook {
	const char *name;
	void *probe; /* void (*)(void *data, arguments of the tracepoint) */
	bool optional; /* not every kernel has it */
	struct tracepoint *point;
};

static void hook_match(struct tracepoint *point, void *wanted)
{
	struct hook *hook = wanted;

	if (!strcmp(point->name, hook->name))
		hook->point = point;
}

static __maybe_unused void hooks_detach(struct hook *hooks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (hooks[i].point)
			tracepoint_probe_unregister(hooks[i].point, hooks[i].probe, NULL);
		hooks[i].point = NULL;
	}
	tracepoint_synchronize_unregister();
}

static __maybe_unused int hooks_attach(struct hook *hooks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		int error = -ENOENT;

		for_each_kernel_tracepoint(hook_match, &hooks[i]);
		if (!hooks[i].point && hooks[i].optional)
			continue;
		if (hooks[i].point)
			error = tracepoint_probe_register(hooks[i].point, hooks[i].probe, NULL);
		if (error) {
			pr_err("harness: tracepoint %s: error %d\n", hooks[i].name, error);
			hooks[i].point = NULL;
			hooks_detach(hooks, i);
			return error;
		}
	}
	return 0;
}

#endif
