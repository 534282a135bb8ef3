/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_guest: the first process of a guest that moves bytes over its network card eth0 and powers off. A
 * static program. Its network and its jobs are words of the kernel's command line:
 *
 *     address/GUEST/NETMASK/HOST/ROUTER   addresses in hexadecimal digits; ROUTER 0: none
 *     send/PORT/MIB                       MIB mebibytes to the host's port; receive: from it
 *
 * The console gets "begin JOB" and "end JOB MICROSECONDS": until the host has said that it has all of it.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "guest.h"

static unsigned host;
static char block[256 * 1024];

static struct sockaddr address_of(unsigned address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
	struct sockaddr any;

	memcpy(&any, &in, sizeof(any));
	return any;
}

static void set_address(unsigned guest, unsigned mask, unsigned router)
{
	struct ifreq request = {.ifr_name = "eth0"};
	struct rtentry route = {.rt_dst = address_of(0),
	        .rt_genmask = address_of(0),
	        .rt_gateway = address_of(router),
	        .rt_flags = RTF_UP | RTF_GATEWAY};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	request.ifr_addr = address_of(guest);
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		die("eth0");
	request.ifr_netmask = address_of(mask);
	if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
		die("netmask");
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		die("up");
	if (router && ioctl(fd, SIOCADDRT, &route) < 0)
		die("route");
	close(fd);
}

static int connect_to(unsigned port)
{
	struct sockaddr_in to = {
	        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(host)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	return fd;
}

static void move(int fd, int sends, uint64_t left)
{
	while (left) {
		size_t size = left < sizeof(block) ? (size_t)left : sizeof(block);
		ssize_t n = sends ? write(fd, block, size) : read(fd, block, size);

		if (n <= 0)
			die("the connection");
		left -= (uint64_t)n;
	}
	/* The host answers when it has all of it. */
	if (sends && read(fd, block, 1) != 1)
		die("the answer");
	close(fd);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void run_word(const char *word)
{
	unsigned guest, mask, router, port, mib;
	uint64_t start;
	int sends = sscanf(word, "send/%u/%u", &port, &mib) == 2, fd;

	if (sscanf(word, "address/%x/%x/%x/%x", &guest, &mask, &host, &router) == 4)
		set_address(guest, mask, router);
	if (!sends && sscanf(word, "receive/%u/%u", &port, &mib) != 2)
		return;
	fd = connect_to(port);
	printf("begin %s\n", word);
	start = now_us();
	move(fd, sends, (uint64_t)mib << 20);
	printf("end %s %llu\n", word, (unsigned long long)(now_us() - start));
}

int main(void)
{
	char line[4096] = "";
	FILE *f;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("/proc");
	mount("dev", "/dev", "devtmpfs", 0, NULL); /* the kernel may have done so */
	load_modules();
	f = fopen("/proc/cmdline", "r");
	if (!f || !fgets(line, sizeof(line), f))
		die("/proc/cmdline");
	for (char *save, *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		run_word(word);
	power_off();
}
