/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: the launch measurement goes out to the guest's owner, the owner's encrypted secret comes in. vmm
 * cannot read it: only the secure processor has the key. Main thread. Law: SEV API 6.5, 6.6.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "launch.h"
#include "vmm/owner.h"

/* The owner, who waits for the file, must never see half of it. */
int launch_measure_write(const struct config *config, const struct abi_sev_measure *measure, struct err *err)
{
	const char *path = config->sev.measurement;

	if (!*path || file_replace(path, measure, sizeof(*measure), err) == 0)
		return 0;
	return err_wrap(err, "sev.measurement");
}

/*
 * A file that is older than the measurement belongs to an earlier launch: one before a reset, or of another
 * day.
 */
static bool is_there(const char *path, const struct timespec *measured)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size > 0 &&
	       (st.st_mtim.tv_sec > measured->tv_sec ||
	               (st.st_mtim.tv_sec == measured->tv_sec && st.st_mtim.tv_nsec >= measured->tv_nsec));
}

static int tell_missing(const char *path, const struct config *config, struct err *err)
{
	return err_set(err, ERR_USAGE,
	        "sev.secret: %s %s within %u s of the measurement (sev.secret-wait); vmm secret pack makes "
	        "it, "
	        "and the other file, from what was written to sev.measurement",
	        path,
	        access(path, F_OK) == 0 ? "is of an earlier launch, and no newer one came" : "did not come",
	        config->sev.secret_wait_s);
}

int launch_secret_look(
        const struct config *config, const struct timespec *measured, unsigned looks, struct err *err)
{
	const char *header = config->sev.secret_header, *secret = config->sev.secret;

	if (is_there(header, measured) && is_there(secret, measured))
		return LAUNCH_DONE;
	if (looks >= config->sev.secret_wait_s * (1000000000 / LAUNCH_WAIT_NS))
		return tell_missing(is_there(header, measured) ? secret : header, config, err);
	if (!looks)
		log_info("waiting for the guest owner's secret, %s and %s", header, secret);
	return LAUNCH_WAITS;
}

int launch_secret_check(size_t size_bytes, struct err *err)
{
	if (size_bytes > OWNER_SECRET_MAX_BYTES)
		return err_set(err, ERR_USAGE, "has %zu bytes; one launch secret has at most %llu",
		        size_bytes, (unsigned long long)OWNER_SECRET_MAX_BYTES);
	if (!size_bytes || !is_aligned(size_bytes, 16))
		return err_set(err, ERR_USAGE, "has %zu bytes, which is not a multiple of 16", size_bytes);
	return 0;
}

static int read_files(const struct config *config, struct launch_secret *secret, struct err *err)
{
	auto_free void *header = NULL, *packet = NULL;
	size_t size;

	if (file_read_all(config->sev.secret_header, ATTEST_FILE_MAX_BYTES, &header, &size, err) < 0)
		return err_wrap(err, "sev.secret-header");
	if (attest_form_struct(header, size, &secret->header, sizeof(secret->header), err) < 0)
		return err_wrap(err, "sev.secret-header: %s", config->sev.secret_header);
	if (file_read_all(config->sev.secret, ATTEST_FILE_MAX_BYTES, &packet, &size, err) < 0)
		return err_wrap(err, "sev.secret");
	secret->packet = malloc(size + 1);
	if (!secret->packet)
		return err_set(err, ERR_FAILED, "sev.secret: no memory for its %zu bytes", size);
	secret->size_bytes = size;
	if (attest_form_decode(packet, size, secret->packet, &secret->size_bytes) == ATTEST_FORM_BYTES)
		memcpy(secret->packet, packet, size);
	return launch_secret_check(secret->size_bytes, err) < 0 ? err_wrap(err, "sev.secret") : 0;
}

int launch_secret_place(
        const struct launch_plan *plan, size_t size_bytes, struct gpa *ret_gpa, struct err *err)
{
	const struct launch_ovmf_entry *area = &plan->ovmf.secret;

	if (!area->present || !area->value[0])
		return err_set(err, ERR_USAGE,
		        "the firmware image has no place for secrets: name an address (sev.secret-address), "
		        "or "
		        "use OVMF.amdsev.fd of Debian's ovmf-amdsev");
	if (size_bytes > area->value[1])
		return err_set(err, ERR_USAGE, "has %zu bytes, the firmware image has room for %u",
		        size_bytes, area->value[1]);
	*ret_gpa = gpa(area->value[0]);
	return 0;
}

static int find_place(const struct config *config, const struct launch_plan *plan,
        struct launch_secret *secret, struct err *err)
{
	if (!*config->sev.secret_address)
		return launch_secret_place(plan, secret->size_bytes, &secret->gpa, err) < 0
		               ? err_wrap(err, "sev.secret")
		               : 0;
	secret->gpa = gpa(strtoull(config->sev.secret_address, NULL, 16)); /* judged beforehand */
	return 0;
}

int launch_secret_read(const struct config *config, const struct launch_plan *plan,
        struct launch_secret *ret_secret, struct err *err)
{
	if (read_files(config, ret_secret, err) < 0 || find_place(config, plan, ret_secret, err) < 0)
		return -1;
	return 0;
}

void launch_secret_finish(struct launch_secret *secret)
{
	free(secret->packet);
	*secret = (struct launch_secret){0};
}
