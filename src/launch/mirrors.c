/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirrors: mirrors that a controller makes of a SEV guest, for helpers which the guest has put into its
 * memory. They end before the guest's VM does, because they hold its ASID. Main thread.
 */
#include "launch.h"
#include "vmm/mirror/runner.h"

static int find(const struct launch *launch, unsigned id, unsigned *ret_at, struct err *err)
{
	for (unsigned i = 0; i < LAUNCH_MIRRORS_MAX; i++) {
		if (launch->mirrors[i].runner && launch->mirrors[i].id == id) {
			*ret_at = i;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, "there is no mirror %u", id);
}

unsigned launch_mirrors(const struct launch *launch)
{
	unsigned count = 0;

	for (unsigned i = 0; i < LAUNCH_MIRRORS_MAX; i++)
		count += launch->mirrors[i].runner != NULL;
	return count;
}

bool launch_mirror_facts(const struct launch *launch, unsigned i, struct launch_mirror_facts *ret_facts)
{
	for (unsigned at = 0; at < LAUNCH_MIRRORS_MAX; at++) {
		if (!launch->mirrors[at].runner || i--)
			continue;
		ret_facts->id = launch->mirrors[at].id;
		ret_facts->told = launch->mirrors[at].told;
		ret_facts->facts = mirror_runner_facts(launch->mirrors[at].runner);
		return true;
	}
	return false;
}

/* ---- what can be made ---- */

/* Four levels of page tables reach 48 bits, and the bits above them are copies of the last one. */
static bool is_canonical(uint64_t address)
{
	return address + (UINT64_C(1) << 47) < UINT64_C(1) << 48;
}

static int check_entry(const struct mirror_entry *entry, unsigned c_bit, struct err *err)
{
	uint64_t table = entry->cr3 & ~(UINT64_C(1) << c_bit);

	if (!is_canonical(entry->rip) || !is_canonical(entry->rsp))
		return err_set(err, ERR_USAGE,
		        "rip 0x%llx, rsp 0x%llx: both must be canonical addresses of 48 bits",
		        (unsigned long long)entry->rip, (unsigned long long)entry->rsp);
	if (!is_aligned(table, PAGE_SIZE_BYTES))
		return err_set(err, ERR_USAGE, "cr3 0x%llx is not the address of a page",
		        (unsigned long long)entry->cr3);
	return 0;
}

static bool is_in(uint64_t address, const struct mirror_view *view)
{
	return address >= view->start.raw &&
	       range_fits(address - view->start.raw, PAGE_SIZE_BYTES, view->size_bytes);
}

static int check_tables(const struct mirror_entry *entry, unsigned c_bit, const struct mirror_view *views,
        unsigned count, struct err *err)
{
	uint64_t table = entry->cr3 & ~(UINT64_C(1) << c_bit);

	for (unsigned i = 0; i < count; i++) {
		if (is_in(table, &views[i]))
			return 0;
	}
	return err_set(
	        err, ERR_USAGE, "cr3 0x%llx lies in no view of the mirror", (unsigned long long)entry->cr3);
}

/* The migration helper's pages are no business of others. mirror_create() looks at what else a view must be.
 */
static int check_views(
        const struct launch *launch, const struct mirror_view *views, unsigned count, struct err *err)
{
	const struct page_memory *memory = machine_vm_memory(launch->work.vm);

	for (unsigned i = 0; i < count; i++) {
		if (!page_is_memory(memory, views[i].start, views[i].size_bytes, false))
			return err_set(err, ERR_USAGE,
			        "the mirror cannot see 0x%llx bytes at 0x%llx: that is no memory of the "
			        "guest",
			        (unsigned long long)views[i].size_bytes,
			        (unsigned long long)views[i].start.raw);
	}
	return 0;
}

static int check(const struct launch *launch, const struct mirror_view *views, unsigned count,
        const struct mirror_entry *entry, struct err *err)
{
	unsigned c_bit = launch->facts.c_bit;

	if (launch->config.sev.type != CONFIG_SEV)
		return mirror_check_type(launch->config.sev.type, err);
	if (launch->work.state != LAUNCH_RUNNING || !launch->work.vm)
		return err_set(err, ERR_USAGE,
		        "a mirror can be made when the guest has been launched, and while it is not sent to "
		        "another host; its state is %s",
		        launch_state_word(launch->work.state));
	if (launch_mirrors(launch) == LAUNCH_MIRRORS_MAX)
		return err_set(err, ERR_USAGE, "a guest has at most %u mirrors", LAUNCH_MIRRORS_MAX);
	if (check_views(launch, views, count, err) < 0 || check_entry(entry, c_bit, err) < 0)
		return -1;
	return check_tables(entry, c_bit, views, count, err);
}

/* ---- what controllers do ---- */

int launch_mirror_add(struct launch *launch, const struct mirror_view *views, unsigned count,
        const struct mirror_entry *entry, const struct launch_mirror_watch *watch, unsigned *ret_id,
        struct err *err)
{
	struct launch_mirror *place = launch->mirrors;
	struct mirror_guest guest;
	int result;

	if (check(launch, views, count, entry, err) < 0 ||
	        launch_mirror_guest(&launch->work, &guest, err) < 0)
		return -1;
	while (place->runner)
		place++;
	result = mirror_runner_create(
	        &guest, views, count, entry, watch->on_stop, watch->ctx, &place->runner, err);
	host_close(launch->host, guest.kvm_fd);
	if (result < 0)
		return -1;
	*ret_id = place->id = ++launch->mirrors_made;
	place->told = 0;
	log_info("a controller has made mirror %u of the guest", place->id);
	return 0;
}

int launch_mirror_run(struct launch *launch, unsigned id, struct err *err)
{
	unsigned at;

	return find(launch, id, &at, err) < 0 ? -1 : mirror_runner_go(launch->mirrors[at].runner, err);
}

int launch_mirror_kick(struct launch *launch, unsigned id, struct err *err)
{
	unsigned at;

	if (find(launch, id, &at, err) < 0)
		return -1;
	if (!mirror_runner_kick(launch->mirrors[at].runner))
		return err_set(err, ERR_USAGE, "mirror %u does not run", id);
	return 0;
}

int launch_mirror_remove(struct launch *launch, unsigned id, struct err *err)
{
	unsigned at;

	if (find(launch, id, &at, err) < 0)
		return -1;
	mirror_runner_destroy(take_ptr(&launch->mirrors[at].runner));
	log_info("mirror %u of the guest has ended", id);
	return 0;
}

void launch_mirror_told(struct launch *launch, unsigned id, uint64_t runs)
{
	struct err err;
	unsigned at;

	if (find(launch, id, &at, &err) == 0)
		launch->mirrors[at].told = runs;
}

void launch_mirrors_end(struct launch *launch)
{
	for (unsigned i = 0; i < LAUNCH_MIRRORS_MAX; i++)
		mirror_runner_destroy(take_ptr(&launch->mirrors[i].runner));
}
