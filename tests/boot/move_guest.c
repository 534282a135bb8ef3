/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move_guest: the first process of a guest that is moved while it works. A static program. A thread on each
 * processor fills memory by a rule, and verifies it again and again, and computes a sum in floating-point and
 * vector registers that is always the same. The first thread writes numbered blocks to the disk, if there is
 * one, reads them back, looks at the clocks and at what the kernel has to say, and tells how far it is. With
 * an address in a network, a thread of its own sends numbered blocks to an echo there, over one connection,
 * and verifies what comes back. The console gets:
 *
 *     at N                all is right so far; N rises by one each time
 *     wall MS net BLOCKS  the guest's wall clock, and how many blocks came back so far
 *     wrong WHAT          something is not
 *     all right N         after a line "end" was typed: everything was verified once more
 */
#include <arpa/inet.h>
#include <linux/fs.h>
#include <math.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>

#include "../bench/guest.h"

#define THREADS_MAX 8
#define BLOCK       4096u
#define BLOCKS      1024u
#define TICK_NS     50000000
#define TOLD        5u /* ticks between two looks at the wall clock */
#define CLOCK_SLACK \
	3000000000 /* the wall clock may have passed so much more than the monotonic one: a move */

static uint64_t words; /* of 8 bytes, for each thread */
static _Atomic unsigned rounds[THREADS_MAX];
static _Atomic bool ended;
static unsigned threads;
static uint64_t *memories[THREADS_MAX];

static void __attribute__((noreturn, format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("wrong ");
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	for (;;)
		pause();
}

/* ---- memory and registers ---- */

/* What word number i of a thread's memory holds in a round; most pages change, every fourth stays. */
static uint64_t rule(unsigned thread, uint64_t i, unsigned round)
{
	uint64_t page = i / 512;

	if (page % 4 == 0)
		round = 0;
	if (page % 16 == 1)
		return 0;
	return (i * 0x9e3779b97f4a7c15u) ^ ((uint64_t)round << 40) ^ thread;
}

static void fill(unsigned thread, unsigned round)
{
	for (uint64_t i = 0; i < words; i++) {
		if (i % 512 == 0 && i / 512 % 4 == 0 && round)
			i += 512;
		if (i < words)
			memories[thread][i] = rule(thread, i, round);
	}
}

static void verify(unsigned thread, unsigned round)
{
	for (uint64_t i = 0; i < words; i++)
		if (memories[thread][i] != rule(thread, i, round))
			wrong("thread %u: word %llu is %llx, not %llx, in round %u", thread,
			        (unsigned long long)i, (unsigned long long)memories[thread][i],
			        (unsigned long long)rule(thread, i, round), round);
}

static double compute(void)
{
	volatile double seed = 0.5;
	double x = seed, sum = 0;

	for (int i = 0; i < 2000; i++) {
		x = 3.9 * x * (1 - x);
		sum += sqrt(x) * (i % 2 ? 1 : -1);
	}
	return sum;
}

static void *work(void *ctx)
{
	unsigned thread = (unsigned)(uintptr_t)ctx;
	double sum = compute();
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(thread, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu) < 0)
		wrong("processor %u cannot be used", thread);
	for (unsigned round = 0; !ended; round++) {
		fill(thread, round);
		verify(thread, round);
		for (int i = 0; i < 20; i++)
			if (compute() != sum)
				wrong("thread %u computes another sum", thread);
		rounds[thread] = round + 1;
	}
	verify(thread, rounds[thread] - 1);
	return NULL;
}

/* ---- clocks ---- */

static int64_t ns_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void look_at_clocks(void)
{
	static int64_t begin_mono, begin_wall, last_mono, last_wall;
	int64_t mono = ns_of(CLOCK_MONOTONIC), wall = ns_of(CLOCK_REALTIME), drift;

	if (!last_mono) {
		begin_mono = mono;
		begin_wall = wall;
	}
	if (mono < last_mono || wall < last_wall)
		wrong("a clock went backwards");
	drift = (wall - begin_wall) - (mono - begin_mono);
	if (drift > CLOCK_SLACK || drift < -CLOCK_SLACK)
		wrong("the clocks differ by %lld ms", (long long)drift / 1000000);
	last_mono = mono;
	last_wall = wall;
}

/* ---- the disk ---- */

static int disk = -1;

static void fill_block(uint64_t *block, uint64_t number)
{
	for (unsigned i = 0; i < BLOCK / 8; i++)
		block[i] = number * 0x2545f4914f6cdd1du + i;
}

static void open_disk(const char *path)
{
	for (unsigned i = 0; i < 200 && disk < 0; i++) {
		disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		usleep(disk < 0 ? 10000 : 0);
	}
	if (disk < 0)
		wrong("the disk is not there");
}

/* Writes the next blocks, and reads one of the last BLOCKS. */
static void use_disk(uint64_t *number)
{
	static _Alignas(BLOCK) uint64_t block[BLOCK / 8], again[BLOCK / 8];
	uint64_t older;

	if (disk < 0)
		return;
	for (unsigned i = 0; i < 8; i++, ++*number) {
		fill_block(block, *number);
		if (pwrite(disk, block, BLOCK, (off_t)(*number % BLOCKS * BLOCK)) != BLOCK)
			wrong("block %llu cannot be written", (unsigned long long)*number);
		older = *number > BLOCKS / 2 ? *number - BLOCKS / 2 : 0;
		if (pread(disk, again, BLOCK, (off_t)(older % BLOCKS * BLOCK)) != BLOCK)
			wrong("block %llu cannot be read", (unsigned long long)older);
		fill_block(block, older);
		if (memcmp(block, again, BLOCK) != 0)
			wrong("block %llu is another one", (unsigned long long)older);
	}
	if (fdatasync(disk) < 0)
		wrong("the disk cannot be flushed");
}

/* ---- the network ---- */

static _Atomic uint64_t echoed; /* blocks */
static in_addr_t net_own, net_host;
static uint16_t net_port;

static void raise_interface(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = net_own},
	                   mask = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xffffff00)};
	struct ifreq request = {.ifr_name = "eth0"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memcpy(&request.ifr_addr, &address, sizeof(address));
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		wrong("eth0 takes no address");
	memcpy(&request.ifr_netmask, &mask, sizeof(mask));
	if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
		wrong("eth0 takes no netmask");
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		wrong("eth0 does not start");
	close(fd);
}

static int connect_to_echo(void)
{
	const struct sockaddr_in to = {
	        .sin_family = AF_INET, .sin_port = htons(net_port), .sin_addr.s_addr = net_host};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		wrong("nobody answers in the network: %s", strerror(errno));
	return fd;
}

/* One connection lives as long as the guest. */
static void *use_net(void *ctx)
{
	static uint64_t block[BLOCK / 8], again[BLOCK / 8];
	int fd = connect_to_echo();

	for (uint64_t number = 0; !ended; echoed = ++number) {
		fill_block(block, number);
		if (send(fd, block, BLOCK, 0) != BLOCK)
			wrong("block %llu cannot be sent: %s", (unsigned long long)number, strerror(errno));
		if (recv(fd, again, BLOCK, MSG_WAITALL) != BLOCK)
			wrong("block %llu does not come back: %s", (unsigned long long)number,
			        strerror(errno));
		if (memcmp(block, again, BLOCK) != 0)
			wrong("block %llu comes back as another one", (unsigned long long)number);
	}
	close(fd);
	return NULL;
}

/* words: OWN/HOST/PORT, addresses in dotted form. */
static void start_net(char *words_of_net)
{
	char *save, *word = strtok_r(words_of_net, "/", &save);
	pthread_t id;

	net_own = inet_addr(word);
	word = strtok_r(NULL, "/", &save);
	net_host = inet_addr(word ? word : "");
	word = strtok_r(NULL, "/", &save);
	net_port = (uint16_t)(word ? atoi(word) : 0);
	raise_interface();
	pthread_create(&id, NULL, use_net, NULL);
}

/* ---- the kernel ---- */

static int messages = -1;

/* What it has said so far belongs to its boot. */
static void open_messages(void)
{
	messages = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (messages < 0 || lseek(messages, 0, SEEK_END) < 0)
		wrong("the kernel's messages cannot be read");
}

/* An error, or a clock that it does not trust any more. */
static void look_at_messages(void)
{
	char line[1024];
	ssize_t size;

	while ((size = read(messages, line, sizeof(line) - 1)) > 0) {
		line[size] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (atoi(line) % 8 <= 3 || strstr(line, "unstable"))
			wrong("the kernel says: %s", line);
	}
}

/* ---- the console ---- */

static bool is_told_to_end(void)
{
	static char line[64];
	static size_t size;
	ssize_t got = read(STDIN_FILENO, line + size, sizeof(line) - 1 - size);

	size += got > 0 ? (size_t)got : 0;
	line[size] = '\0';
	if (size == sizeof(line) - 1)
		size = 0;
	return strstr(line, "end") != NULL;
}

int main(int argc, char **argv)
{
	pthread_t ids[THREADS_MAX];
	uint64_t number = 0;
	unsigned long at = 0;

	threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	threads = threads < THREADS_MAX ? threads : THREADS_MAX;
	words = (argc > 1 ? strtoull(argv[1], NULL, 10) : 8) * 1048576 / 8;
	if (argc > 2 && strcmp(argv[2], "-") != 0)
		open_disk(argv[2]);
	if (argc > 3)
		start_net(argv[3]);
	open_messages();
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < threads; i++) {
		memories[i] = malloc(words * 8);
		if (!memories[i])
			wrong("no memory");
		pthread_create(&ids[i], NULL, work, (void *)(uintptr_t)i);
	}
	while (!is_told_to_end()) {
		use_disk(&number);
		look_at_clocks();
		look_at_messages();
		printf("at %lu\n", ++at);
		if (at % TOLD == 0)
			printf("wall %lld net %llu\n", (long long)(ns_of(CLOCK_REALTIME) / 1000000),
			        (unsigned long long)echoed);
		nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
	}
	ended = true;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	for (unsigned i = 0; i < threads; i++)
		if (!rounds[i])
			wrong("thread %u did nothing", i);
	printf("all right %lu\n", at);
	power_off();
}
