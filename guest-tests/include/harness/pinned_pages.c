// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#include <harness/pinned_pages.h>

/* A pinned page holds the address of the next one. */
struct pinned_page {
	struct pinned_page *next;
};

static struct pinned_page *pinned;
static DEFINE_SPINLOCK(pinned_lock);

static void push(struct pinned_page *page)
{
	spin_lock(&pinned_lock);
	page->next = pinned;
	pinned = page;
	spin_unlock(&pinned_lock);
}

static struct pinned_page *pop(void)
{
	struct pinned_page *page;

	spin_lock(&pinned_lock);
	page = pinned;
	if (page)
		pinned = page->next;
	spin_unlock(&pinned_lock);
	return page;
}

void pinned_pages_take(unsigned long count, unsigned long leave, gfp_t reserves)
{
	struct pinned_page *page;

	while (count-- && global_zone_page_state(NR_FREE_PAGES) > leave) {
		page = (void *)__get_free_page(GFP_NOWAIT | __GFP_NOWARN | reserves);
		if (!page)
			break;
		push(page);
		cond_resched();
	}
}

void pinned_pages_give(unsigned long count)
{
	struct pinned_page *page;

	while (count-- && (page = pop())) {
		free_page((unsigned long)page);
		cond_resched();
	}
}

void pinned_pages_give_all(void)
{
	pinned_pages_give(ULONG_MAX);
}

void pinned_pages_fragment(void)
{
	struct pinned_page *page, *next, *kept = NULL;

	pinned_pages_take(ULONG_MAX, 0, 0);
	while ((page = pop())) {
		if (page_to_pfn(virt_to_page(page)) & 1) {
			free_page((unsigned long)page);
		} else {
			page->next = kept;
			kept = page;
		}
		cond_resched();
	}
	for (page = kept; page; page = next) {
		next = page->next;
		push(page);
	}
}
