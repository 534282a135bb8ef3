/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: the launch measurement goes out to the guest's owner, the owner's encrypted secret comes in. vmm
 * cannot read it: only the secure processor has the key. Main thread. Law: SEV API 6.5, 6.6.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "launch.h"
#include "vmm/owner.h"

#define WAIT_STEP_NS 50000000 /* between two looks for the owner's files */

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

/* The loop does not run yet, so a request to end is looked for here. */
static bool asked_to_end(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT) ||
	       sigismember(&pending, SIGHUP);
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

static int wait_for(const struct config *config, const struct timespec *measured, struct err *err)
{
	const char *header = config->sev.secret_header, *secret = config->sev.secret;
	uint64_t left = config->sev.secret_wait_s * (UINT64_C(1000000000) / WAIT_STEP_NS);

	if (left)
		log_info("waiting for the guest owner's secret, %s and %s", header, secret);
	while (!(is_there(header, measured) && is_there(secret, measured))) {
		const struct timespec step = {.tv_nsec = WAIT_STEP_NS};

		if (asked_to_end())
			return err_set(err, ERR_FAILED,
			        "sev.secret: a signal ended the wait for the guest owner's secret");
		if (left-- == 0)
			return tell_missing(is_there(header, measured) ? secret : header, config, err);
		nanosleep(&step, NULL);
	}
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
	if (secret->size_bytes > OWNER_SECRET_MAX_BYTES)
		return err_set(err, ERR_USAGE,
		        "sev.secret: has %zu bytes; one launch secret has at most %llu", secret->size_bytes,
		        (unsigned long long)OWNER_SECRET_MAX_BYTES);
	if (!secret->size_bytes || !is_aligned(secret->size_bytes, 16))
		return err_set(err, ERR_USAGE, "sev.secret: has %zu bytes, which is not a multiple of 16",
		        secret->size_bytes);
	return 0;
}

/* The secret's place: the configured address, or the place that the image names. */
static int find_place(const struct config *config, const struct launch_plan *plan,
        struct launch_secret *secret, struct err *err)
{
	const struct launch_ovmf_entry *area = &plan->ovmf.secret;

	if (*config->sev.secret_address) {
		secret->gpa = gpa(strtoull(config->sev.secret_address, NULL, 16)); /* judged beforehand */
		return 0;
	}
	if (!area->present || !area->value[0])
		return err_set(err, ERR_USAGE,
		        "sev.secret: the firmware image has no place for secrets: set sev.secret-address, or "
		        "use OVMF.amdsev.fd of Debian's ovmf-amdsev");
	if (secret->size_bytes > area->value[1])
		return err_set(err, ERR_USAGE,
		        "sev.secret: has %zu bytes, the firmware image has room for %u", secret->size_bytes,
		        area->value[1]);
	secret->gpa = gpa(area->value[0]);
	return 0;
}

int launch_secret_read(const struct config *config, const struct launch_plan *plan,
        const struct timespec *measured, struct launch_secret *ret_secret, struct err *err)
{
	struct launch_secret secret = {0};

	if (!*config->sev.secret)
		return 0;
	if (wait_for(config, measured, err) < 0 || read_files(config, &secret, err) < 0 ||
	        find_place(config, plan, &secret, err) < 0) {
		launch_secret_finish(&secret);
		return -1;
	}
	*ret_secret = secret;
	return 1;
}

void launch_secret_finish(struct launch_secret *secret)
{
	free(secret->packet);
	*secret = (struct launch_secret){0};
}
