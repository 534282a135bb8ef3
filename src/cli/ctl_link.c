/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_link: one connection to a control socket, as its client. Main thread only.
 * Law: QEMU's docs/interop/qmp-spec.rst; docs/control-protocol.md.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "vmm/json.h"

#include "ctl.h"

#define READ_BYTES KIB(64)

struct cli_ctl_link {
	int fd;
	unsigned limit_s;
	bool ended;   /* the server has closed the connection */
	bool refused; /* the last command */
	json_int_t id;
	char *data; /* received; start to end is not yet read, and up to scanned there is no newline in it */
	size_t start, scanned, end, room;
	cli_ctl_on_event *on_event;
	void *ctx;
};

/* ---- time ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns 1 if the socket is ready, 0 at the deadline (-1: there is none). */
static int wait_until(const struct cli_ctl_link *link, short events, int64_t deadline_ms, struct err *err)
{
	struct pollfd ready = {link->fd, events, 0};

	for (;;) {
		int64_t left = deadline_ms < 0 ? -1 : deadline_ms - now_ms();
		int n = poll(&ready, 1, deadline_ms < 0 ? -1 : left < 0 ? 0 : (int)left);

		if (n >= 0)
			return n;
		if (errno != EINTR)
			return err_sys(err, ERR_FAILED, errno, "waiting for the control socket");
	}
}

/* ---- receiving ---- */

static int make_room(struct cli_ctl_link *link, struct err *err)
{
	size_t room = link->room ? 2 * link->room : READ_BYTES;
	char *data;

	if (link->start) {
		memmove(link->data, link->data + link->start, link->end - link->start);
		link->end -= link->start;
		link->scanned -= link->start;
		link->start = 0;
	}
	if (link->end < link->room)
		return 0;
	if (link->room >= CLI_CTL_LINE_MAX_BYTES)
		return err_set(err, ERR_FAILED, "the server sends more than %u MiB without the end of a line",
		        (unsigned)(CLI_CTL_LINE_MAX_BYTES >> 20));
	data = realloc(link->data, room);
	if (!data)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for an answer");
	link->data = data;
	link->room = room;
	return 0;
}

/* Takes what is there, if anything is. */
static int receive(struct cli_ctl_link *link, struct err *err)
{
	ssize_t n;

	if (make_room(link, err) < 0)
		return -1;
	n = recv(link->fd, link->data + link->end, link->room - link->end, MSG_DONTWAIT);
	if (n > 0)
		link->end += (size_t)n;
	else if (n == 0 || errno == ECONNRESET)
		link->ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		return err_sys(err, ERR_FAILED, errno, "reading from the control socket");
	return 0;
}

static bool take_line(struct cli_ctl_link *link, const char **ret_line, size_t *ret_size)
{
	char *line = link->data ? link->data + link->start : NULL;
	char *newline = line ? memchr(link->data + link->scanned, '\n', link->end - link->scanned) : NULL;

	link->scanned = link->end;
	if (!newline)
		return false;
	*ret_line = line;
	*ret_size = (size_t)(newline - line);
	link->start = link->scanned = (size_t)(newline + 1 - link->data);
	return true;
}

/*
 * Returns the next document that has come. *ret_document is NULL if none has come whole. The caller owns it.
 */
static int take_document(struct cli_ctl_link *link, json_t **ret_document, struct err *err)
{
	json_error_t wrong;
	const char *line;
	size_t size;

	*ret_document = NULL;
	if (!take_line(link, &line, &size))
		return 0;
	*ret_document = json_loadb(line, size, JSON_ALLOW_NUL, &wrong);
	if (json_is_object(*ret_document))
		return 0;
	json_decref(take_ptr(ret_document));
	return err_set(err, ERR_FAILED, "the server sends a line that is not a JSON object: %s", wrong.text);
}

static json_t *no_answer(const struct cli_ctl_link *link, struct err *err)
{
	err_set(err, ERR_FAILED, "no answer within %u seconds; --timeout waits longer", link->limit_s);
	return NULL;
}

/* Returns the next document, or NULL with err: the time is over, or the server has gone. */
static json_t *await_document(struct cli_ctl_link *link, int64_t deadline_ms, struct err *err)
{
	json_t *document;
	int ready;

	for (;;) {
		if (take_document(link, &document, err) < 0)
			return NULL;
		if (document)
			return document;
		if (link->ended) {
			err_set(err, ERR_FAILED, "the server closed the connection without an answer");
			return NULL;
		}
		ready = wait_until(link, POLLIN, deadline_ms, err);
		if (ready == 0)
			return no_answer(link, err);
		if (ready < 0 || receive(link, err) < 0)
			return NULL;
	}
}

static bool tell_event(const struct cli_ctl_link *link, const json_t *document)
{
	if (!json_is_string(json_object_get(document, "event")))
		return false;
	if (link->on_event)
		link->on_event(link->ctx, document);
	return true;
}

/* Takes the events that have come whole. */
static int tell_events(struct cli_ctl_link *link, bool *ret_told, struct err *err)
{
	for (;;) {
		auto_json json_t *document = NULL;

		if (take_document(link, &document, err) < 0)
			return -1;
		if (!document)
			return 0;
		if (!tell_event(link, document))
			return err_set(err, ERR_FAILED, "the server answers what nobody asked");
		*ret_told = true;
	}
}

int cli_ctl_link_events(struct cli_ctl_link *link, int wait_ms, bool *ret_ended, struct err *err)
{
	bool told = false;
	int ready;

	/* Events may have come together with the last answer. */
	if (tell_events(link, &told, err) < 0)
		return -1;
	if (!told && !link->ended) {
		ready = wait_until(link, POLLIN, wait_ms < 0 ? -1 : now_ms() + wait_ms, err);
		if (ready < 0 || (ready && receive(link, err) < 0) || tell_events(link, &told, err) < 0)
			return -1;
	}
	*ret_ended = link->ended;
	return 0;
}

/* ---- sending ---- */

static ssize_t send_some(const struct cli_ctl_link *link, const char *text, size_t size, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {(char *)(uintptr_t)text, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *part;

	if (fd >= 0) {
		message.msg_control = room;
		message.msg_controllen = sizeof(room);
		part = CMSG_FIRSTHDR(&message);
		*part = (struct cmsghdr){
		        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(part), &fd, sizeof(int));
	}
	return sendmsg(link->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int send_text(
        const struct cli_ctl_link *link, const char *text, int fd, int64_t deadline_ms, struct err *err)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = send_some(link, text, left, fd);
		int ready;

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, ERR_FAILED, errno, "sending to the control socket");
		if (n > 0) {
			text += n;
			left -= (size_t)n;
			fd = -1;
			continue;
		}
		ready = wait_until(link, POLLOUT, deadline_ms, err);
		if (ready == 0)
			err_set(err, ERR_FAILED, "the server takes no request within %u seconds",
			        link->limit_s);
		if (ready <= 0)
			return -1;
	}
	return 0;
}

/* ---- commands ---- */

static json_t *value_of(struct cli_ctl_link *link, const json_t *answer, struct err *err)
{
	json_t *value = json_object_get(answer, "return"), *error = json_object_get(answer, "error");
	const json_t *id = json_object_get(answer, "id");
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *text = json_string_value(json_object_get(error, "desc"));

	/* A request that QEMU could not read is answered by an error without its id. */
	if (json_integer_value(id) != link->id && (id || !error)) {
		err_set(err, ERR_FAILED, "the server answers what nobody asked");
		return NULL;
	}
	if (value)
		return json_incref(value);
	link->refused = error != NULL;
	if (error)
		err_set(err, ERR_FAILED, "%s: %s", class ?: "error", text ?: "the server does not say why");
	else
		err_set(err, ERR_FAILED, "the server sends an answer without a result");
	return NULL;
}

/* A server that sends one event after the other, but no answer, is not waited for any longer than a silent
 * one.
 */
static json_t *await_answer(struct cli_ctl_link *link, int64_t deadline_ms, struct err *err)
{
	do {
		auto_json json_t *document = await_document(link, deadline_ms, err);

		if (!document)
			return NULL;
		if (!tell_event(link, document))
			return value_of(link, document, err);
	} while (now_ms() < deadline_ms);
	return no_answer(link, err);
}

json_t *cli_ctl_link_call(
        struct cli_ctl_link *link, const char *command, json_t *arguments, int fd, struct err *err)
{
	int64_t deadline_ms = now_ms() + (int64_t)link->limit_s * 1000;
	auto_json json_t *request =
	        json_pack("{s:s,s:I,s:o*}", "execute", command, "id", ++link->id, "arguments", arguments);
	auto_free char *line = json_doc_line(request);
	json_t *value;

	link->refused = false;
	if (!line) {
		err_set(err, ERR_USAGE, "the command cannot be sent: it is not UTF-8, or there is no memory");
		return NULL;
	}
	if (send_text(link, line, fd, deadline_ms, err) < 0)
		return NULL;
	value = await_answer(link, deadline_ms, err);
	/* What ends the server may end it before it has answered. */
	if (!value && link->ended && strcmp(command, "quit") == 0)
		return json_object();
	return value;
}

bool cli_ctl_link_refused(const struct cli_ctl_link *link)
{
	return link->refused;
}

bool cli_ctl_link_ended(const struct cli_ctl_link *link)
{
	return link->ended;
}

int cli_ctl_link_fd(const struct cli_ctl_link *link)
{
	return link->fd;
}

void cli_ctl_link_listen(struct cli_ctl_link *link, cli_ctl_on_event *on_event, void *ctx)
{
	link->on_event = on_event;
	link->ctx = ctx;
}

/* ---- life ---- */

static int connect_to(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, ERR_USAGE, "%s is too long for a socket, which may have %zu bytes", path,
		        sizeof(at.sun_path) - 1);
	memcpy(at.sun_path, path, strlen(path));
	if (fd < 0)
		return err_sys(err, ERR_FAILED, errno, "no socket can be made");
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_sys(err, ERR_USAGE, errno, "no server answers at %s", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int greet(struct cli_ctl_link *link, struct err *err)
{
	json_t *value;
	auto_json json_t *greeting = await_document(link, now_ms() + (int64_t)link->limit_s * 1000, err);

	if (!greeting)
		return err_wrap(err, "waiting for the server's greeting");
	if (!json_is_object(json_object_get(greeting, "QMP")))
		return err_set(err, ERR_FAILED, "the server does not speak QMP");
	value = cli_ctl_link_call(link, "qmp_capabilities", NULL, -1, err);
	json_decref(value);
	return value ? 0 : -1;
}

int cli_ctl_link_open(const char *path, unsigned limit_s, struct cli_ctl_link **ret_link, struct err *err)
{
	struct cli_ctl_link *link = calloc(1, sizeof(*link));

	if (!link)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for a connection");
	link->fd = -1;
	link->limit_s = limit_s;
	if (connect_to(path, &link->fd, err) < 0 || greet(link, err) < 0) {
		cli_ctl_link_close(link);
		return -1;
	}
	*ret_link = link;
	return 0;
}

void cli_ctl_link_close(struct cli_ctl_link *link)
{
	if (!link)
		return;
	if (link->fd >= 0)
		close(link->fd);
	free(link->data);
	free(link);
}
