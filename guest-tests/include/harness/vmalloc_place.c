// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include <harness/symbol.h>
#include <harness/tracked_task.h>
#include <harness/vmalloc_place.h>

/* ---- the probe */

/*
 * alloc_vmap_area(size, align, start, end, ...). It is static, and compilers drop arguments of such
 * functions: that the range is the one that all of vmalloc asks for shows that it is where it is
 * looked for. If not, vmalloc_call_open() finds that calls do not go where they are sent.
 */
static int area_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_active();
	unsigned long *start = probe_argument(regs, 2), *end = probe_argument(regs, 3);

	if (!tracked || !tracked->start || *start != VMALLOC_START || *end != VMALLOC_END)
		return 0;
	*start = tracked->start;
	/* The array of page pointers may have an area of its own, which finds room elsewhere. */
	if (tracked->end)
		*end = tracked->end;
	return 0;
}

static struct kprobe area_probe;

int vmalloc_place_open(void)
{
	/* What gcc calls it if it has dropped arguments that are the same in each call, or unused. */
	static const char *const names[] = {
		"alloc_vmap_area", "alloc_vmap_area.constprop.0", "alloc_vmap_area.isra.0",
	};
	int error = probe_function(&area_probe, names, ARRAY_SIZE(names), area_entry);

	if (error)
		pr_err("harness: no probe on alloc_vmap_area: error %d\n", error);
	return error;
}

void vmalloc_place_close(void)
{
	probe_remove(&area_probe);
}

/* ---- fresh address space */

#define SKIPPED 4UL  /* regions at the bottom and top that the kernel itself uses */
#define CROSSINGS 48 /* regions below those at the top that are kept for crossing calls */
#define STEP (32 * PMD_SIZE)

static unsigned long region, offset, crossing;

static unsigned long bottom(void)
{
	return ALIGN(VMALLOC_START, PUD_SIZE) + SKIPPED * PUD_SIZE;
}

void vmalloc_place_rewind(void)
{
	region = bottom();
	offset = 0;
	crossing = ALIGN_DOWN(VMALLOC_END, PGDIR_SIZE) - SKIPPED * PUD_SIZE;
	crossing = ALIGN_DOWN(crossing, PGDIR_SIZE);
}

unsigned long vmalloc_place_region(void)
{
	return region + offset;
}

void vmalloc_place_next_region(void)
{
	region += PUD_SIZE;
	if (region + (SKIPPED + CROSSINGS) * PUD_SIZE <= VMALLOC_END)
		return;
	region = bottom();
	offset += STEP;
}

bool vmalloc_place_is_first_round(void)
{
	return !offset;
}

bool vmalloc_place_is_used_up(void)
{
	return offset + STEP >= PUD_SIZE;
}

unsigned long vmalloc_place_window(void)
{
	return bottom() - PUD_SIZE;
}

bool vmalloc_place_can_cross(void)
{
	return (VMALLOC_END - VMALLOC_START) / PGDIR_SIZE > SKIPPED + 2;
}

unsigned long vmalloc_place_crossing(void)
{
	return crossing > VMALLOC_START + (SKIPPED + 1) * PGDIR_SIZE ? crossing : 0;
}

void vmalloc_place_next_crossing(void)
{
	crossing -= PGDIR_SIZE;
}
