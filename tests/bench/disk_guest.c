/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_guest: the first process of a guest that works on its disk /dev/vda and powers off. A static program.
 * Its jobs are words of the kernel's command line; the console tells what it does:
 *
 *     read:BYTES:DEPTH:COUNT       COUNT reads of BYTES at random places, DEPTH of them at a time
 *     write:BYTES:DEPTH:COUNT      the same with writes
 *     scan:BYTES:DEPTH:COUNT       reads one after the other; fill: writes
 *     log                          writes numbered blocks, flushes, and tells the number, without end
 *
 * The console gets "begin JOB", "end JOB MICROSECONDS" and "flushed N".
 */
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "guest.h"

#define DEPTH_MAX 128
#define BLOCK     4096u

static int disk = -1;
static uint64_t disk_bytes;

static void open_disk(void)
{
	for (unsigned i = 0; i < 1000 && disk < 0; i++) {
		disk = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
		usleep(disk < 0 ? 10000 : 0);
	}
	if (disk < 0 || ioctl(disk, BLKGETSIZE64, &disk_bytes) < 0)
		die("/dev/vda");
}

/* ---- jobs ---- */

struct job {
	bool write, random;
	uint64_t bytes, depth, count;
	uint64_t started, done;
	uint8_t *buffers;
	struct iocb blocks[DEPTH_MAX];
	aio_context_t context;
	uint64_t seed;
};

static uint64_t next_random(struct job *job)
{
	job->seed ^= job->seed << 13;
	job->seed ^= job->seed >> 7;
	job->seed ^= job->seed << 17;
	return job->seed;
}

static void submit(struct job *job, uint64_t slot)
{
	struct iocb *block = &job->blocks[slot];
	uint64_t places = disk_bytes / job->bytes, place = job->random ? next_random(job) : job->started;

	*block = (struct iocb){
	        .aio_data = slot,
	        .aio_lio_opcode = job->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
	        .aio_fildes = (uint32_t)disk,
	        .aio_buf = (uintptr_t)(job->buffers + slot * job->bytes),
	        .aio_nbytes = job->bytes,
	        .aio_offset = (int64_t)(place % places * job->bytes),
	};
	if (syscall(SYS_io_submit, job->context, 1, &block) != 1)
		die("io_submit");
	job->started++;
}

static void reap(struct job *job)
{
	struct io_event events[DEPTH_MAX];
	long n = syscall(SYS_io_getevents, job->context, 1, job->depth, events, NULL);

	if (n < 1)
		die("io_getevents");
	for (long i = 0; i < n; i++) {
		if (events[i].res != (int64_t)job->bytes)
			die("an answer");
		job->done++;
		if (job->started < job->count)
			submit(job, events[i].data);
	}
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void run(const char *name, struct job *job)
{
	uint64_t before;

	if (!job->bytes || !job->depth || job->depth > DEPTH_MAX ||
	        posix_memalign((void **)&job->buffers, BLOCK, job->bytes * job->depth) ||
	        syscall(SYS_io_setup, DEPTH_MAX, &job->context) < 0)
		die(name);
	memset(job->buffers, 0x5a, job->bytes * job->depth);
	printf("begin %s\n", name);
	usleep(200000); /* whoever measures looks here */
	before = now_us();
	for (uint64_t i = 0; i < job->depth && i < job->count; i++)
		submit(job, i);
	while (job->done < job->count)
		reap(job);
	printf("end %s %llu\n", name, (unsigned long long)(now_us() - before));
	syscall(SYS_io_destroy, job->context);
	free(job->buffers);
}

/* Block n of the log holds its number in each word. */
static void write_log(void)
{
	static _Alignas(BLOCK) uint64_t block[BLOCK / 8];
	uint64_t places = disk_bytes / BLOCK;

	for (uint64_t n = 1;; n++) {
		for (unsigned i = 0; i < BLOCK / 8; i++)
			block[i] = n;
		if (pwrite(disk, block, BLOCK, (int64_t)(n % places * BLOCK)) != BLOCK)
			die("pwrite");
		if (n % 8 == 0) {
			if (fdatasync(disk) < 0)
				die("fdatasync");
			printf("flushed %llu\n", (unsigned long long)n);
		}
	}
}

static void run_word(const char *word)
{
	static const struct {
		const char *name;
		bool write, random;
	} kinds[] = {{"read:", false, true}, {"write:", true, true}, {"scan:", false, false},
	        {"fill:", true, false}};

	if (strcmp(word, "log") == 0)
		write_log();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct job job = {
		        .write = kinds[i].write, .random = kinds[i].random, .seed = 88172645463325252u};
		unsigned long long bytes, depth, count;

		if (strncmp(word, kinds[i].name, strlen(kinds[i].name)) != 0 ||
		        sscanf(word + strlen(kinds[i].name), "%llu:%llu:%llu", &bytes, &depth, &count) != 3)
			continue;
		job.bytes = bytes;
		job.depth = depth;
		job.count = count;
		run(word, &job);
	}
}

/* Reading the wrong clock costs an exit each time. */
static void tell_clock(void)
{
	char name[64] = "";
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");

	if (f && fgets(name, sizeof(name), f))
		printf("clock %s", name);
	if (f)
		fclose(f);
}

int main(void)
{
	char line[4096] = "";
	FILE *f;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	mount("sys", "/sys", "sysfs", 0, NULL);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("/proc");
	mount("dev", "/dev", "devtmpfs", 0, NULL); /* the kernel may have done so */
	load_modules();
	open_disk();
	tell_clock();
	f = fopen("/proc/cmdline", "r");
	if (!f || !fgets(line, sizeof(line), f))
		die("/proc/cmdline");
	for (char *save, *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		run_word(word);
	power_off();
}
