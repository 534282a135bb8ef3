/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: does a guest fit into what this process may have: descriptors, file sizes, addresses, threads, huge
 * pages? The limits are those of the real process, whichever host it uses. Main thread; no state.
 */
#include <dirent.h>
#include <inttypes.h>
#include <string.h>

#include "launch.h"

/* ---- what there is ---- */

/*
 * The number of entries in /proc/self/fd, without the descriptor that reads it. 0: the folder cannot be read.
 */
static uint64_t open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (!folder)
		return 0;
	while (readdir(folder))
		count++;
	closedir(folder);
	return count - 3; /* ".", ".." and the folder's own */
}

static uint64_t read_number(const char *path)
{
	uint64_t value = 0;

	auto_fclose FILE *f = fopen(path, "re");
	return f && fscanf(f, "%" SCNu64, &value) == 1 ? value : 0;
}

/* ---- what a guest needs ---- */

/*
 * Beside what each region and each vCPU has: /dev/kvm twice (the machine's, and a question's), the VM,
 * /dev/sev, the event loop's ring and eventfd, signals, and one more for the file that is read or written.
 */
#define FILES_OF_A_GUEST  8
#define FILES_OF_A_HELPER 3 /* /dev/kvm for a moment, the mirror and its vCPU */

static uint64_t files_needed(const struct launch *launch, const struct page_layout *layout)
{
	const struct config *config = &launch->config;
	uint64_t region =
	        (machine_backing(config) == PAGE_OWN ? 0 : 1) + (config->sev.type == CONFIG_SEV_SNP ? 1 : 0);

	return open_files() + FILES_OF_A_GUEST + (*config->machine.debugcon ? 1 : 0) +
	       (config->sev.helper ? FILES_OF_A_HELPER : 0) + region * layout->count +
	       (uint64_t)config->machine.vcpus * launch->vcpu_files;
}

static uint64_t largest_region(const struct page_layout *layout)
{
	uint64_t largest = 0;

	for (unsigned i = 0; i < layout->count; i++) {
		if (layout->regions[i].size_bytes > largest)
			largest = layout->regions[i].size_bytes;
	}
	return largest;
}

/* ---- the checks ---- */

static int check_files(const struct launch *launch, const struct page_layout *layout, struct err *err)
{
	uint64_t needed = files_needed(launch, layout);
	char words[LIMIT_WORDS_BYTES];

	if (needed <= limit_value(LIMIT_FILES))
		return 0;
	return err_set(err, ERR_HOST,
	        "a guest with %u vCPUs needs about %" PRIu64 " open files (EMFILE), and %s",
	        launch->config.machine.vcpus, needed, limit_words(LIMIT_FILES, words));
}

/* Guest memory may be a file, too. */
static int check_file_bytes(const struct launch *launch, const struct page_layout *layout, struct err *err)
{
	uint64_t needed = largest_region(layout);
	char words[LIMIT_WORDS_BYTES];

	if (machine_backing(&launch->config) == PAGE_OWN || needed <= limit_value(LIMIT_FILE_BYTES))
		return 0;
	return err_set(err, ERR_HOST, "the guest's memory needs a file of %" PRIu64 " KiB (EFBIG), and %s",
	        needed >> 10, limit_words(LIMIT_FILE_BYTES, words));
}

static int check_addresses(const struct launch *launch, const struct page_layout *layout, struct err *err)
{
	const struct page_region *plugged = page_layout_plugged(layout);
	uint64_t needed = layout->low_bytes + layout->high_bytes + (plugged ? plugged->size_bytes : 0);
	char words[LIMIT_WORDS_BYTES];

	/* Nearly nobody has this limit, so nothing is read for it at every start. */
	if (limit_value(LIMIT_ADDRESSES) == UINT64_MAX)
		return 0;
	needed += read_number("/proc/self/statm") * PAGE_SIZE_BYTES;
	if (needed <= limit_value(LIMIT_ADDRESSES))
		return 0;
	return err_set(err, ERR_HOST,
	        "with the guest's memory, vmm needs at least %" PRIu64 " KiB of addresses (ENOMEM), and %s",
	        needed >> 10, limit_words(LIMIT_ADDRESSES, words));
}

/*
 * Beside one for each vCPU: the main thread, and one that writes the console where io_uring is refused. The
 * debug console may need another.
 */
#define THREADS_OF_A_GUEST 2

/* Root may have more threads than its limit; others have at least these beside what they run already. */
static int check_threads(const struct launch *launch, const struct page_layout *layout, struct err *err)
{
	uint64_t needed = (uint64_t)launch->config.machine.vcpus + THREADS_OF_A_GUEST +
	                  (*launch->config.machine.debugcon ? 1 : 0);
	char words[LIMIT_WORDS_BYTES];

	if (geteuid() == 0 || needed <= limit_value(LIMIT_THREADS))
		return 0;
	return err_set(err, ERR_HOST, "a guest with %u vCPUs needs %" PRIu64 " threads (EAGAIN), and %s",
	        launch->config.machine.vcpus, needed, limit_words(LIMIT_THREADS, words));
}

#define POOL            "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_PAGE_BYTES MIB(2)

/* Pages of the pool that are neither used nor promised, and those that it may still get. */
static int check_huge_pages(const struct launch *launch, const struct page_layout *layout, struct err *err)
{
	uint64_t needed = (layout->low_bytes + layout->high_bytes) / HUGE_PAGE_BYTES;
	uint64_t free, reserved, more;

	if (!launch->config.machine.hugepages)
		return 0;
	free = read_number(POOL "free_hugepages");
	reserved = read_number(POOL "resv_hugepages");
	more = read_number(POOL "nr_overcommit_hugepages");
	if (needed <= free + more - (reserved < free ? reserved : free))
		return 0;
	return err_set(err, ERR_HOST,
	        "machine.hugepages: the host's pool has %" PRIu64 " free pages of 2 MiB, and the guest's "
	        "memory needs %" PRIu64 "; enlarge it (sysctl vm.nr_hugepages), or set machine.hugepages to "
	        "false",
	        free - (reserved < free ? reserved : free), needed);
}

void launch_limits(const struct launch *launch, struct launch_findings *findings)
{
	static int (*const checks[])(const struct launch *, const struct page_layout *, struct err *) = {
	        check_files, check_file_bytes, check_addresses, check_threads, check_huge_pages};
	struct page_layout layout;
	struct err err = {0};

	/* The code that makes a guest's memory refuses impossible sizes. */
	if (page_layout_make(launch->config.machine.memory_bytes, launch->files.firmware.size_bytes, &layout,
	            &err) < 0)
		return;
	if (launch->config.machine.memory_max_bytes > launch->config.machine.memory_bytes &&
	        page_layout_add_plugged(&layout,
	                launch->config.machine.memory_max_bytes - launch->config.machine.memory_bytes,
	                &err) < 0)
		return;
	if (launch->config.sev.helper &&
	        page_layout_add_helper(&layout, gpa(HELPER_GPA), HELPER_BYTES, &err) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		err = (struct err){0};
		if (findings->count < LAUNCH_FINDINGS_MAX && checks[i](launch, &layout, &err) < 0)
			findings->list[findings->count++] = err;
	}
}
