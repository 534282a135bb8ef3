/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: the files by which Linux tells programs of KVM, of its parameters and of the processor, as a host
 * with the platform's processor has them. They can be read and not be changed. Any thread.
 * Law: the parameters of Linux's x86.c, svm.c, sev.c and mmu.c; its modules kvm and kvm_amd.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "preload.h"
#include "vmm/product.h"

#define CGROUPS     "/sys/fs/cgroup/"
#define MISC        "/misc."
#define MEMFD       "/memfd:sys/" /* how the kernel names the descriptors of these files */
#define SYSFS_BYTES 4096          /* what sysfs says is the size of each of its files */

static bool has_sev(void)
{
	return product_find(preload_options()->product) != NULL;
}

static bool has_es(void)
{
	return has_sev() && product_find(preload_options()->product)->es;
}

static bool has_snp(void)
{
	return has_sev() && product_find(preload_options()->product)->snp;
}

static bool has_smt(void)
{
	return !preload_options()->smt_off;
}

/* What is in a file depends on one fact of the processor at most. */
static const struct file {
	const char *path;
	bool (*fact)(void);
	const char *yes, *no;
	unsigned major, minor; /* 0: no device */
} files[] = {
        {"/dev/kvm", .major = 10, .minor = 232},
        {"/dev/sev", .fact = has_sev, .major = 10, .minor = 124},
        {"/sys/module/kvm_amd/parameters/sev", has_sev, "Y\n", "N\n"},
        {"/sys/module/kvm_amd/parameters/sev_es", has_es, "Y\n", "N\n"},
        {"/sys/module/kvm_amd/parameters/sev_snp", has_snp, "Y\n", "N\n"},
        {"/sys/module/kvm_amd/parameters/npt", NULL, "Y\n"},
        {"/sys/module/kvm_amd/parameters/nested", NULL, "0\n"},
        {"/sys/module/kvm_amd/parameters/avic", NULL, "N\n"},
        {"/sys/module/kvm_amd/parameters/vgif", NULL, "0\n"},
        {"/sys/module/kvm/parameters/enable_pmu", NULL, "N\n"},
        {"/sys/module/kvm/parameters/ignore_msrs", NULL, "N\n"},
        {"/sys/module/kvm/parameters/force_emulation_prefix", NULL, "0\n"},
        {"/sys/module/kvm/parameters/nx_huge_pages", NULL, "N\n"},
        {"/sys/module/kvm/parameters/tdp_mmu", NULL, "Y\n"},
        {"/sys/module/kvm/parameters/mmio_caching", NULL, "Y\n"},
        {"/sys/devices/system/cpu/smt/control", has_smt, "on\n", "off\n"},
        {"/sys/devices/system/cpu/smt/active", has_smt, "1\n", "0\n"},
        {"/sys/devices/system/clocksource/clocksource0/current_clocksource", NULL, "tsc\n"},
};

int preload_file(const char *path)
{
	if (!path || *path != '/' || !preload_options())
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (strcmp(path, files[i].path) == 0)
			return (int)i;
	}
	return -1;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool ends_as_one(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (strcmp(last_name(path), last_name(files[i].path)) == 0)
			return true;
	}
	return false;
}

/* The file that a path names whose folders may be written in any way, and are there. */
static int find_by_folder(int folder, const char *path)
{
	char text[PATH_MAX], real[PATH_MAX], whole[2 * PATH_MAX];
	const char *name = last_name(path);
	int used = 0;

	if (*path != '/' && folder != AT_FDCWD)
		used = snprintf(text, sizeof(text), "/proc/self/fd/%d/", folder);
	if (snprintf(text + used, sizeof(text) - (size_t)used, "%.*s.", (int)(name - path), path) >=
	                (int)sizeof(text) - used ||
	        !realpath(text, real))
		return -1;
	snprintf(whole, sizeof(whole), "%s/%s", real, name);
	return preload_file(whole);
}

int preload_file_at(int folder, const char *path)
{
	int file = preload_file(path), saved = errno;

	if (file < 0 && path && *path && preload_options() && ends_as_one(path))
		file = find_by_folder(folder, path);
	errno = saved;
	return file;
}

/* The file that a symbolic link leads to, by at most so many others. */
static int find_by_link(int folder, const char *path, unsigned links)
{
	char target[PATH_MAX], beside[2 * PATH_MAX];
	ssize_t size = readlinkat(folder, path, target, sizeof(target) - 1);
	int file;

	if (size < 0)
		return -1;
	target[size] = '\0';
	snprintf(beside, sizeof(beside), "%.*s%s", *target == '/' ? 0 : (int)(last_name(path) - path), path,
	        target);
	file = preload_file_at(folder, beside);
	return file >= 0 || !links ? file : find_by_link(folder, beside, links - 1);
}

int preload_file_behind(int folder, const char *path, int fd)
{
	const unsigned links = 8;
	char link[40], target[PATH_MAX];
	int saved = errno, file = -1;
	struct stat facts;
	ssize_t size;

	if (!path || !preload_options())
		return -1;
	if (fd < 0) {
		file = find_by_link(folder, path, links);
	} else if (fstat(fd, &facts) == 0 && S_ISCHR(facts.st_mode)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		size = readlink(link, target, sizeof(target) - 1);
		target[size < 0 ? 0 : size] = '\0';
		file = preload_file(target);
	}
	errno = saved;
	return file;
}

int preload_file_of(enum preload_kind kind)
{
	switch (kind) {
	case PRELOAD_KVM:
	case PRELOAD_LEFT_KVM: return preload_file("/dev/kvm");
	case PRELOAD_SEV:
	case PRELOAD_LEFT_SEV: return preload_file("/dev/sev");
	default: return -1;
	}
}

/* A device that this processor has not is no file. */
static bool is_missing(const struct file *f)
{
	return f->major && f->fact && !f->fact();
}

static const char *text_of(const struct file *f)
{
	return !f->fact || f->fact() ? f->yes : f->no;
}

static int fail(int sys)
{
	errno = sys;
	return -1;
}

static int open_device(const char *path, bool kvm, int flags)
{
	int fd = host_open(preload_platform(), path, flags);

	/* The platform's descriptors are closed by execve(2), and these only if the program wants that. */
	if (fd >= 0 && !(flags & O_CLOEXEC))
		fcntl(fd, F_SETFD, 0);
	return preload_note(fd, kvm ? PRELOAD_KVM : PRELOAD_SEV);
}

int preload_file_open(int file, int flags)
{
	const struct file *f = &files[file];
	const char *text;
	auto_close int fd = -1;

	if (is_missing(f))
		return fail(ENOENT);
	if (f->major)
		return open_device(f->path, file == 0, flags);
	if ((flags & O_ACCMODE) != O_RDONLY)
		return fail(EACCES);
	text = text_of(f);
	fd = memfd_create(f->path + 1, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return take_fd(&fd);
}

int preload_file_access(int file, int mode)
{
	const struct file *f = &files[file];

	if (is_missing(f))
		return fail(ENOENT);
	return mode & X_OK || (mode & W_OK && !f->major) ? fail(EACCES) : 0;
}

int preload_file_stat(int file, struct stat *ret_stat)
{
	const struct file *f = &files[file];

	if (is_missing(f))
		return fail(ENOENT);
	*ret_stat = (struct stat){.st_nlink = 1, .st_blksize = SYSFS_BYTES};
	if (f->major) {
		ret_stat->st_mode = S_IFCHR | 0666;
		ret_stat->st_rdev = makedev(f->major, f->minor);
	} else {
		ret_stat->st_mode = S_IFREG | 0444;
		ret_stat->st_size = SYSFS_BYTES;
	}
	return 0;
}

void preload_file_size(int fd, struct stat *stat)
{
	char link[32], name[sizeof(MEMFD) - 1];

	if (!S_ISREG(stat->st_mode) || stat->st_nlink || !preload_options())
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name)) == sizeof(name) && memcmp(name, MEMFD, sizeof(name)) == 0)
		stat->st_size = SYSFS_BYTES;
}

const char *preload_path(const char *path, char *buffer, size_t size)
{
	const struct sim_options *options = preload_options();
	const char *name;

	if (!path || !options || !*(options->cgroup ?: "") || strncmp(path, CGROUPS, strlen(CGROUPS)) != 0)
		return path;
	name = strrchr(path, '/');
	if (strncmp(name, MISC, strlen(MISC)) != 0 ||
	        (size_t)snprintf(buffer, size, "%s%s", options->cgroup, name) >= size)
		return path;
	return buffer;
}
