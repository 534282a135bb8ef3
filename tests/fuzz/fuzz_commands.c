/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_commands: what a client asks of a guest that lives, on the software platform, so that each command's
 * handler runs. The first byte chooses the guest. Then come requests: a byte chooses the command, and for
 * each argument of its row a byte whether it is there and has the right type, and bytes of the value. Other
 * bytes are sent as they are. The server must answer in JSON, and the guest must end when its client has
 * gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "support/measured_image.h"
#include "vmm/back/net.h"
#include "vmm/control.h"
#include "vmm/loop.h"
#include "vmm/run/command.h"
#include "vmm/run/facts.h"
#include "vmm/sim.h"

#define REQUESTS_MAX 64
#define DISK_BYTES   MIB(1)
#define FDS_MAX      200 /* more than all that is open between two inputs */

/* ---- a network that takes everything and brings nothing ---- */

static int net_start(struct back_net *net, struct err *err)
{
	return 0;
}

static void net_stop(struct back_net *net)
{
}

static void net_watch(struct back_net *net, unsigned queue, int events)
{
}

static unsigned net_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count)
{
	return count;
}

static size_t net_receive(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	return 0;
}

static void net_destroy(struct back_net *net)
{
	free(net->name);
	free(net);
}

static const struct back_net_ops net_ops = {
        .start = net_start,
        .stop = net_stop,
        .watch = net_watch,
        .send = net_send,
        .receive = net_receive,
        .destroy = net_destroy,
};

int __wrap_back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err);
int __wrap_back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err)
{
	struct back_net *net = calloc(1, sizeof(*net));

	fuzz_assert(net && (net->name = strdup("nothing")));
	net->ops = &net_ops;
	net->queues = 1;
	net->frame_max = 65536;
	*ret_net = net;
	return 0;
}

/* Nor is any other vmm reached. */
int __wrap_back_address_connect(const char *address, int cancel_fd, int *ret_fd, struct err *err);
int __wrap_back_address_connect(const char *address, int cancel_fd, int *ret_fd, struct err *err)
{
	*ret_fd = -1;
	return err_set(err, ERR_FAILED, "nobody is there");
}

/* ---- the guest ---- */

static struct {
	struct host *host;
	struct config *config;
	struct run *run;
	struct migrate *migrate;
	struct control *control;
	struct cursor input;
	int listener, client, disk;
	struct loop_op *watch;
	char *received; /* of a line that is not whole yet */
	size_t received_bytes;
} f = {.listener = -1, .client = -1, .disk = -1};

static uint64_t now_ns(void *ctx)
{
	return sim_now_ns(ctx);
}

/* The delay is left out: an input would only take longer. */
static int fail_call(void *ctx, const char *call, uint64_t nth, int sys, uint64_t delay_ns, struct err *err)
{
	const struct sim_fault fault = {.call = call, .nth = nth, .sys = sys};

	return sim_fault_set(ctx, &fault, err);
}

static int fail_firmware(void *ctx, const char *command, unsigned nth, uint32_t code, struct err *err)
{
	if (sim_fail_firmware(ctx, command, nth, code) == 0)
		return 0;
	return err_set(err, ERR_USAGE, "no such command");
}

static json_t *host_report(void *ctx, struct err *err)
{
	return json_object();
}

static void make_config(uint8_t kind)
{
	static const char *const types[] = {
	        "sev.type=null", "sev.type=sev", "sev.type=sev-es", "sev.type=sev-snp"};
	struct config_mistakes mistakes = {0};
	char firmware[64], disk[64];

	snprintf(firmware, sizeof(firmware), "firmware=%s", measured_image_path());
	snprintf(disk, sizeof(disk), "--disk /proc/self/fd/%d", f.disk);
	const char *words[] = {firmware, disk, "--net user", "machine.memory=1M", "machine.cpu=EPYC-Milan",
	        "run.grace=0", kind & 4 ? "run.paused=true" : "run.paused=false",
	        kind & 8 ? "machine.vcpus=2" : "machine.vcpus=1", types[kind % 4]};
	size_t count = ARRAY_LEN(words) - (kind % 4 == 0);

	if (config_load(NULL, words, count, NULL, &f.config, &mistakes) < 0) {
		fprintf(stderr, "%s\n", mistakes.count ? mistakes.list[0].text : "no memory");
		abort();
	}
	config_mistakes_finish(&mistakes);
}

/* All guests share a host, as they do in a computer. */
static void make_host(void)
{
	const struct sim_options options = {.product = "Milan"};
	struct err err;

	log_set_level(LOG_ERROR);
	f.disk = memfd_create("disk", MFD_CLOEXEC);
	fuzz_assert(f.disk >= 0 && sim_host_create(&options, &f.host, &err) == 0);
}

/* ---- the client ---- */

static void check_line(const char *line, size_t size)
{
	json_error_t error;
	json_t *value = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);

	fuzz_assert(size > 2 && line[size - 2] == '\r' && json_is_object(value));
	fuzz_assert(!!json_object_get(value, "QMP") + !!json_object_get(value, "return") +
	                    !!json_object_get(value, "error") + !!json_object_get(value, "event") ==
	            1);
	json_decref(value);
}

static void take_lines(void)
{
	char *newline;

	while ((newline = memchr(f.received, '\n', f.received_bytes))) {
		size_t size = (size_t)(newline + 1 - f.received);

		check_line(f.received, size);
		f.received_bytes -= size;
		memmove(f.received, newline + 1, f.received_bytes);
	}
}

/* The server ends the connection when everything is answered; so does the guest then. */
static void on_answer(void *ctx, int events)
{
	char data[65536];
	ssize_t n = recv(f.client, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		loop_op_stop(take_ptr(&f.watch));
		run_quit(f.run);
		return;
	}
	f.received = realloc(f.received, f.received_bytes + (size_t)n);
	fuzz_assert(f.received);
	memcpy(f.received + f.received_bytes, data, (size_t)n);
	f.received_bytes += (size_t)n;
	take_lines();
}

static void connect_client(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(at);

	/* The kernel chooses a name. */
	f.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	f.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fuzz_assert(bind(f.listener, (const struct sockaddr *)&at, sizeof(at.sun_family)) == 0 &&
	            listen(f.listener, 1) == 0 &&
	            getsockname(f.listener, (struct sockaddr *)&at, &size) == 0 &&
	            connect(f.client, (const struct sockaddr *)&at, size) == 0);
}

/* What does not fit the socket's buffer is lost. */
static void send_bytes(const void *data, size_t size, bool with_fd)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (with_fd) {
		message.msg_control = room;
		message.msg_controllen = sizeof(room);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
		        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &f.disk, sizeof(int));
	}
	if (sendmsg(f.client, &message, MSG_NOSIGNAL) < 0)
		fuzz_assert(errno == EAGAIN);
}

/* ---- requests ---- */

static const char *const texts[] = {"", "blk0", "net0", "x", "/machine/peripheral/blk0", "help", "info",
        "info status", "info registers", "info registers -a", "info mtree", "info block", "info network",
        "info sev", "info cpus", "info name", "info uuid", "info version", "info kvm", "stop", "cont",
        "system_reset", "system_powerdown", "quit", "KVM_RUN", "SEV_ISSUE_CMD", "KVM_MEMORY_ENCRYPT_OP",
        "any", "mmap", "LAUNCH_START", "LAUNCH_MEASURE", "SNP_LAUNCH_START", "debug", "AAAA",
        "lxG3IAHiLNeHFgSbrBNj2A==", "virtio-rng-pci", "file:/dev/null", "\n", "cpu 1", "set_link net0 off"};

static json_t *text_of(void)
{
	uint8_t which = cursor_u8(&f.input);
	size_t length = which % 64u;
	const void *bytes;

	if (which < 192)
		return json_string(texts[which % ARRAY_LEN(texts)]);
	if (length > f.input.left)
		length = f.input.left;
	bytes = cursor_take(&f.input, length);
	return json_stringn(bytes, length) ?: json_string("\xef\xbf\xbd");
}

static json_t *value_of(const struct control_type *type);

static json_t *list_of(const struct control_type *element)
{
	json_t *list = json_array();

	for (unsigned n = cursor_u8(&f.input) % 4u; n; n--)
		json_array_append_new(list, value_of(element));
	return list;
}

static json_t *object_of(const struct control_member *members)
{
	json_t *object = json_object();

	for (const struct control_member *m = members; m && m->name; m++) {
		uint8_t how = cursor_u8(&f.input) % 16;

		if (how == 1 || (how % 4 == 2 && m->optional))
			continue;
		json_object_set_new(object, m->name, value_of(how == 0 ? NULL : m->type));
	}
	return object;
}

static json_t *word_of(const char *const *words)
{
	unsigned count = 0, which = cursor_u8(&f.input);

	while (words[count])
		count++;
	return json_string(which == 255 ? "none of them" : words[which % count]);
}

static json_t *any(void)
{
	switch (cursor_u8(&f.input) % 7) {
	case 0: return json_null();
	case 1: return json_true();
	case 2: return json_integer((json_int_t)cursor_u64(&f.input));
	case 3: return json_real(cursor_u8(&f.input) * 1e300);
	case 4: return json_array();
	case 5: return json_object();
	default: return text_of();
	}
}

static json_t *value_of(const struct control_type *type)
{
	uint8_t size;

	switch (type ? type->kind : CONTROL_ANY) {
	case CONTROL_STRING: return text_of();
	case CONTROL_INTEGER:
	case CONTROL_UNSIGNED:
		size = cursor_u8(&f.input);
		return json_integer(size < 128   ? cursor_u8(&f.input)
		                    : size < 192 ? cursor_u32(&f.input)
		                                 : (json_int_t)cursor_u64(&f.input));
	case CONTROL_NUMBER: return json_real(cursor_u32(&f.input) / 16.0);
	case CONTROL_BOOLEAN: return json_boolean(cursor_u8(&f.input) & 1);
	case CONTROL_ENUM: return word_of(type->words);
	case CONTROL_LIST: return list_of(type->element);
	case CONTROL_OBJECT: return object_of(type->members);
	default: return any();
	}
}

static void send_request(const struct control_command *command)
{
	json_t *request = json_pack("{s:s,s:o,s:i}", "execute", command->name, "arguments",
	        object_of(command->arguments), "id", 7);
	char *text = json_dumps(request, JSON_COMPACT);

	fuzz_assert(text);
	send_bytes(text, strlen(text), command->flags & CONTROL_TAKES_FD);
	free(text);
	json_decref(request);
}

static void send_raw(void)
{
	size_t size = cursor_u8(&f.input);

	if (size > f.input.left)
		size = f.input.left;
	if (size)
		send_bytes(cursor_take(&f.input, size), size, false);
}

static void send_requests(void)
{
	send_request(control_command_find("qmp_capabilities"));
	for (unsigned i = 0; i < REQUESTS_MAX && f.input.left; i++) {
		uint8_t which = cursor_u8(&f.input);

		if (which < 224)
			send_request(&control_commands[which % control_commands_count]);
		else
			send_raw();
	}
	shutdown(f.client, SHUT_WR);
}

/* ---- an input ---- */

static int64_t wall_ns(void *ctx)
{
	return 1767225600000000000;
}

static void create(void)
{
	static const struct facts_process process = {.cgroup = "", .memlock_bytes = UINT64_MAX, .smt = true};
	static struct device_clock clock;
	static struct control_platform platform;
	struct control_place place = {.config = f.config,
	        .platform = &platform,
	        .host_report = host_report,
	        .listen_fd = f.listener};
	struct err err;

	clock = (struct device_clock){now_ns, wall_ns, f.host};
	platform = (struct control_platform){true, now_ns, fail_call, fail_firmware, f.host};
	if (run_create(&(struct run_place){.host = f.host, .clock = &clock, .process = &process}, f.config,
	            &(struct run_console_io){.in = -1, .out = -1}, &f.run, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	fuzz_assert(migrate_create(&(struct migrate_place){f.run, "", "", "", {"", "", "", ""}}, &f.migrate,
	                    &err) == 0);
	place.run = f.run;
	place.migrate = f.migrate;
	fuzz_assert(control_create(&place, &f.control, &err) == 0);
	fuzz_assert(
	        loop_watch_start(run_loop(f.run), f.client, POLLIN, on_answer, NULL, &f.watch, &err) == 0);
}

static void destroy(void)
{
	control_destroy(take_ptr(&f.control));
	loop_op_stop(take_ptr(&f.watch));
	migrate_destroy(take_ptr(&f.migrate));
	run_destroy(take_ptr(&f.run));
	config_destroy(take_ptr(&f.config));
	close(f.client);
	free(take_ptr(&f.received));
	f.received_bytes = 0;
	sim_fault_clear(f.host);
}

static void check_descriptors(void)
{
	int fd = dup(f.disk);

	fuzz_assert(fd >= 0 && fd < FDS_MAX);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	int result;

	if (!f.host)
		make_host();
	fuzz_assert(ftruncate(f.disk, DISK_BYTES) == 0);
	f.input = cursor_over(data, size);
	make_config(cursor_u8(&f.input));
	connect_client();
	create();
	send_requests();
	result = run_guest(f.run, &err);
	fuzz_assert(result == 0 || (err.kind && *err.text));
	destroy();
	log_set_level(LOG_ERROR);
	check_descriptors();
	return 0;
}
