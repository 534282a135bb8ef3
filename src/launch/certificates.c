/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificates: reads what a SEV-SNP guest gets with its attestation report, for each request anew, since an
 * update of the firmware changes the key that signs. Any thread. Law: GHCB, "SNP Extended Guest Request";
 * amd-memory-encryption.rst, KVM_SEV_SNP_ENABLE_REQ_CERTS.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "launch.h"
#include "vmm/attest/report.h"
#include "vmm/launch/certificates.h"

/* ---- one file ---- */

/* Has another file taken this one's place since it was opened? */
static bool is_replaced(const char *path, const struct stat *opened)
{
	struct stat now;

	return stat(path, &now) < 0 || now.st_dev != opened->st_dev || now.st_ino != opened->st_ino;
}

static int lock_file(const char *path, int fd, struct err *err)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, ERR_HOST, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "%s: is neither a file nor a folder", path);
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES))
		return LAUNCH_CERTIFICATES_BUSY;
	return is_replaced(path, &st) ? LAUNCH_CERTIFICATES_BUSY : LAUNCH_CERTIFICATES_READ;
}

static int read_whole(const char *path, int fd, uint8_t *ret_data, size_t *ret_size, struct err *err)
{
	size_t size = 0;
	ssize_t part;

	while ((part = read(fd, ret_data + size, ATTEST_FILE_MAX_BYTES + 1 - size)) > 0)
		size += (size_t)part;
	if (part < 0)
		return err_sys(err, ERR_HOST, errno, "%s", path);
	if (size == 0 || size > ATTEST_FILE_MAX_BYTES)
		return err_set(err, ERR_USAGE, "%s: %s", path,
		        size ? "is larger than certificates can be (128 KiB)" : "is empty");
	*ret_size = size;
	return LAUNCH_CERTIFICATES_READ;
}

/*
 * Opens, locks and reads a file; data has room for ATTEST_FILE_MAX_BYTES + 1. With may_lack a file that is
 * not there has size 0.
 */
static int take_file(struct launch_certificates *certs, const char *path, bool may_lack, uint8_t *data,
        size_t *ret_size, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), answer;

	*ret_size = 0;
	if (fd < 0 && errno == ENOENT && may_lack)
		return LAUNCH_CERTIFICATES_READ;
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_USAGE : ERR_HOST, errno, "%s", path);
	certs->fds[certs->fd_count++] = fd;
	answer = lock_file(path, fd, err);
	return answer != LAUNCH_CERTIFICATES_READ ? answer : read_whole(path, fd, data, ret_size, err);
}

/* ---- a folder ---- */

/* The names of certificates in a folder, as snphost and snpguest write them; ASVK and ASK share an entry. */
static const struct {
	const char *name;
	size_t entry; /* in struct attest_table */
} kinds[LAUNCH_CERTIFICATE_FILES] = {
        {"vcek", offsetof(struct attest_table, vcek)},
        {"vlek", offsetof(struct attest_table, vlek)},
        {"ask", offsetof(struct attest_table, ask)},
        {"asvk", offsetof(struct attest_table, ask)},
        {"ark", offsetof(struct attest_table, ark)},
};

/* Takes one certificate of a folder: NAME.der, or else NAME.pem. */
static int take_kind(struct launch_certificates *certs, const char *folder, size_t kind, uint8_t *der,
        size_t *ret_size, struct err *err)
{
	auto_free uint8_t *data = malloc(ATTEST_FILE_MAX_BYTES + 1);
	static const char *const endings[] = {"der", "pem"};
	char path[4200] = "";
	size_t size = 0;

	if (!data)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for certificates");
	for (size_t i = 0; i < ARRAY_LEN(endings) && !size; i++) {
		int answer;

		snprintf(path, sizeof(path), "%s/%s.%s", folder, kinds[kind].name, endings[i]);
		answer = take_file(certs, path, true, data, &size, err);
		if (answer != LAUNCH_CERTIFICATES_READ)
			return answer;
	}
	*ret_size = 0;
	return size ? attest_cert_decode(&(struct attest_blob){data, size, path}, der, ret_size, err)
	            : LAUNCH_CERTIFICATES_READ;
}

static int take_folder(struct launch_certificates *certs, const char *folder, uint8_t **ret_data,
        size_t *ret_size, struct err *err)
{
	auto_free uint8_t *der = malloc(LAUNCH_CERTIFICATE_FILES * (ATTEST_FILE_MAX_BYTES + 1));
	struct attest_table table = {0};

	if (!der)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for certificates");
	for (size_t kind = 0; kind < LAUNCH_CERTIFICATE_FILES; kind++) {
		struct attest_blob *entry = (struct attest_blob *)((char *)&table + kinds[kind].entry);
		uint8_t *place = der + kind * (ATTEST_FILE_MAX_BYTES + 1);
		size_t size;
		int answer = take_kind(certs, folder, kind, place, &size, err);

		if (answer != LAUNCH_CERTIFICATES_READ)
			return answer;
		if (size && entry->size)
			return err_set(
			        err, ERR_USAGE, "%s: has both ask and asvk, which share an entry", folder);
		if (size)
			*entry = (struct attest_blob){place, size, kinds[kind].name};
	}
	if (!table.vcek.size && !table.vlek.size)
		return err_set(
		        err, ERR_USAGE, "%s: has none of vcek.der, vcek.pem, vlek.der, vlek.pem", folder);
	return attest_table_make(&table, ret_data, ret_size, err);
}

/* ---- all ---- */

/* Pads what was read to whole pages. */
static int put_pages(struct launch_certificates *certs, const uint8_t *data, size_t size, struct err *err)
{
	size_t size_bytes = (size + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;

	certs->pages = calloc(1, size_bytes);
	if (!certs->pages)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for certificates");
	memcpy(certs->pages, data, size);
	certs->size_bytes = size_bytes;
	return LAUNCH_CERTIFICATES_READ;
}

static int take(const char *path, struct launch_certificates *certs, struct err *err)
{
	auto_free uint8_t *data = NULL;
	struct attest_table table;
	struct stat st;
	size_t size = 0;
	int answer;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		answer = take_folder(certs, path, &data, &size, err);
	} else {
		data = malloc(ATTEST_FILE_MAX_BYTES + 1);
		if (!data)
			return err_sys(err, ERR_FAILED, ENOMEM, "no memory for certificates");
		answer = take_file(certs, path, false, data, &size, err);
	}
	if (answer != LAUNCH_CERTIFICATES_READ)
		return answer;
	if (attest_table_parse(&(struct attest_blob){data, size, path}, &table, err) < 0) {
		err_append(err, "; it is no certificate table, which snphost import writes");
		return -1;
	}
	return put_pages(certs, data, size, err);
}

int launch_certificates_take(const char *path, struct launch_certificates *ret_certs, struct err *err)
{
	struct launch_certificates certs = {0};
	int answer = take(path, &certs, err);

	if (answer == LAUNCH_CERTIFICATES_READ)
		*ret_certs = certs;
	else
		launch_certificates_release(&certs);
	return answer;
}

void launch_certificates_release(struct launch_certificates *certs)
{
	for (unsigned i = 0; i < certs->fd_count; i++)
		close(certs->fds[i]); /* the lock goes with it */
	free(certs->pages);
	*certs = (struct launch_certificates){0};
}

/* ---- before a launch ---- */

/* Linux gives its driver's buffer this size (SEV_FW_BLOB_MAX_SIZE), and a larger table never fits. */
#define LINUX_MAX_BYTES KIB(16)

static void warn(const char *path, const struct launch_certificates *certs, const char *lacks)
{
	if (lacks)
		log_warn("sev.certificates: %s: lacks %s, which who verifies a report has to get elsewhere",
		        path, lacks);
	if (certs->size_bytes > LINUX_MAX_BYTES)
		log_warn("sev.certificates: %s: takes %llu bytes; Linux guests take 16384 at most", path,
		        (unsigned long long)certs->size_bytes);
}

int launch_certificates_check(const char *path, struct err *err)
{
	struct launch_certificates certs = {0};
	struct attest_table table;
	const char *lacks;
	int answer = launch_certificates_take(path, &certs, err), result;

	if (answer != LAUNCH_CERTIFICATES_READ)
		return answer < 0 ? err_wrap(err, "sev.certificates") : 0;
	result = attest_table_parse(&(struct attest_blob){certs.pages, certs.size_bytes, path}, &table, err);
	if (result == 0)
		result = attest_table_check(&table, &lacks, err);
	if (result == 0)
		warn(path, &certs, lacks);
	else
		err_wrap(err, "sev.certificates: %s", path);
	launch_certificates_release(&certs);
	return result;
}
