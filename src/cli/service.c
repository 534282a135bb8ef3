/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service: what the service manager hears, one datagram a piece of news. Main thread. Law: sd_notify(3),
 * whose protocol is part of systemd's stable interface; a library would bring more than it does.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/launch.h"
#include "vmm/run/facts.h"

#include "service.h"

#define VARIABLE "NOTIFY_SOCKET"

/* ---- the socket ---- */

/* A name that begins with "@" lies in no file system (unix(7)). Returns false for other kinds of names. */
static bool address_of(const char *name, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
	size_t length = strlen(name);

	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if ((*name != '/' && *name != '@') || length < 2 || length >= sizeof(ret_address->sun_path))
		return false;
	memcpy(ret_address->sun_path, name, length);
	if (*name == '@')
		ret_address->sun_path[0] = '\0';
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return true;
}

void cli_service_open(struct cli_service *service)
{
	const char *name = getenv(VARIABLE);
	struct sockaddr_un address;
	socklen_t size;

	*service = (struct cli_service){.fd = -1};
	if (!name || !*name)
		return;
	if (!address_of(name, &address, &size)) {
		log_warn(VARIABLE " is no path and no abstract name: the service manager hears nothing");
	} else {
		auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, size) == 0)
			service->fd = take_fd(&fd);
		else
			log_warn(VARIABLE ": the service manager cannot be reached: %s", err_sys_name(errno));
	}
	unsetenv(VARIABLE);
}

/* A manager that does not read must not stop the guest: what it does not take is lost. */
static void tell(const struct cli_service *service, const char *text)
{
	if (send(service->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("the service manager does not listen: %s", err_sys_name(errno));
}

/* ---- news ---- */

/* Tells of a status that is new. first: "READY=1\n" and the like. */
static void tell_status(struct cli_service *service, const char *first, const char *fmt, ...) PRINTF(3, 4);

static void tell_status(struct cli_service *service, const char *first, const char *fmt, ...)
{
	char status[sizeof(service->status)], text[sizeof(status) + 40];
	va_list args;

	va_start(args, fmt);
	vsnprintf(status, sizeof(status), fmt, args);
	va_end(args);
	if (!*first && strcmp(status, service->status) == 0)
		return;
	memcpy(service->status, status, sizeof(status));
	snprintf(text, sizeof(text), "%sSTATUS=%s", first, status);
	tell(service, text);
}

/* A guest that waits because it was told to is ready, too: whoever lets it go on comes after that. */
static void tell_ready(struct cli_service *service)
{
	const struct run_status status = run_status_of(service->run);

	if (!run_is_settled(service->run) ||
	        (!status.running && strcmp(status.name, "prelaunch") != 0 &&
	                strcmp(status.name, "inmigrate") != 0 && strcmp(status.name, "paused") != 0))
		return;
	tell_status(service, service->ready ? "" : "READY=1\n", "The guest is %s", status.phase);
	service->ready = true;
}

static void tell_launch(struct cli_service *service, unsigned row)
{
	struct launch_row_facts facts;

	if (!launch_row_facts(run_launch(service->run), row, &facts) || facts.state != LAUNCH_ROW_RUNS)
		return;
	tell_status(service, "", "Launching the guest: %s", facts.name);
}

static void on_event(void *ctx, const struct run_event *event)
{
	struct cli_service *service = ctx;

	switch (event->kind) {
	case RUN_EVENT_LAUNCH: tell_launch(service, event->row); break;
	case RUN_EVENT_STOP:
	case RUN_EVENT_RESUME:
	case RUN_EVENT_SETTLED: tell_ready(service); break;
	case RUN_EVENT_RESET: tell_status(service, "", "The guest is launched again"); break;
	case RUN_EVENT_POWERDOWN: tell_status(service, "", "The guest is asked to shut down"); break;
	case RUN_EVENT_PANICKED: tell_status(service, "", "The guest crashed"); break;
	case RUN_EVENT_SHUTDOWN:
		tell_status(service, "STOPPING=1\n", "The guest ends (%s)", run_cause_name(event->cause));
		break;
	default: break;
	}
}

/* ---- life ---- */

void cli_service_watch(struct cli_service *service, struct run *run)
{
	if (service->fd < 0)
		return;
	service->run = run;
	service->observer = (struct run_observer){.on_event = on_event, .ctx = service};
	run_observe(run, &service->observer);
}

void cli_service_close(struct cli_service *service)
{
	if (service->fd >= 0)
		close(service->fd);
	service->fd = -1;
}
