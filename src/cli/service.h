/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service: tells the service manager that started vmm how the guest is (sd_notify(3)). Without one all of
 * this does nothing.
 */
#ifndef VMM_CLI_SERVICE_H
#define VMM_CLI_SERVICE_H

#include "vmm/run.h"
#include "vmm/run/command.h"

struct cli_service {
	int fd; /* -1: nobody wants to know */
	struct run *run;
	struct run_observer observer;
	bool ready;
	char status[200]; /* what was told last */
};

/*
 * Finds the manager's socket by NOTIFY_SOCKET, and takes that out of the environment, so that programs which
 * vmm starts do not speak for it. Before the sandbox. A socket that cannot be reached is only logged.
 */
void cli_service_open(struct cli_service *service);
/*
 * Tells of the guest from now on: READY=1 when it runs, or waits as run.paused or its owner want it to;
 * STATUS= for each phase; STOPPING=1 when it ends. service is borrowed until run_destroy().
 */
void cli_service_watch(struct cli_service *service, struct run *run);
void cli_service_close(struct cli_service *service);

#endif
