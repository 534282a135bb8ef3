/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: what the files of this room share: the server, its clients, and a request under way. Main thread.
 */
#ifndef VMM_CONTROL_CONTROL_H
#define VMM_CONTROL_CONTROL_H

#include <sys/types.h>

#include "frame.h"
#include "types.h"
#include "vmm/control.h"
#include "vmm/json.h"
#include "vmm/loop.h"
#include "vmm/run/command.h"
#include "vmm/run/facts.h"

#define CONTROL_CLIENTS_MAX   128
#define CONTROL_QUEUE_MAX     8 /* requests of a client that wait, as in QEMU */
#define CONTROL_READ_BYTES    8192
#define CONTROL_USERS_MAX     16
#define CONTROL_FDS_MAX       16 /* descriptors with a name that a client may keep here */
#define CONTROL_FDSET_FDS_MAX 64 /* descriptors in all sets */
#define CONTROL_NO_UUID       "00000000-0000-0000-0000-000000000000"

/* The classes of errors that clients tell apart (QMP). */
enum control_class {
	CONTROL_GENERIC,
	CONTROL_COMMAND_NOT_FOUND,
	CONTROL_DEVICE_NOT_ACTIVE,
	CONTROL_DEVICE_NOT_FOUND,
	CONTROL_KVM_MISSING_CAP,
};

/* ---- where clients come from (listen.c) ---- */

struct control_listener {
	int fd;
	struct file_made file; /* the socket file; none if the socket was inherited */
	uid_t own_user;
	uid_t users[CONTROL_USERS_MAX]; /* who may connect beside root and the user of this process */
	unsigned user_count;
};

/* listener is zeroed but for fd, which is -1. */
int control_listener_open(
        struct control_listener *listener, const struct control_place *place, struct err *err) MUST_CHECK;
void control_listener_close(struct control_listener *listener);
/*
 * Returns the next client's socket; -1 with errno if there is none, EPERM if whoever connected may not, and
 * was disconnected.
 */
int control_listener_accept(const struct control_listener *listener);

/* ---- the server (server.c) ---- */

/* What the last event said of the launch; it is told again only if it is new, or later. */
struct control_told {
	unsigned row;
	enum launch_row_state state;
	uint64_t launch_ns; /* when; 0: never */
};

/* Descriptors in sets, in the order in which they came. */
struct control_fdsets {
	struct control_fdset_fd {
		json_int_t set;
		int fd;
		char *opaque; /* what a client noted beside it; NULL: nothing */
	} fds[CONTROL_FDSET_FDS_MAX];
	unsigned count;
};

/* Backends of memory, in no order, and the DIMMs that use them. */
struct control_memory {
	struct control_ram {
		char *id;
		uint64_t size_bytes;
		bool plugged;
		unsigned slot; /* the next two: of the DIMM, if it is plugged */
		char *device;  /* its id; "": it has none */
	} rams[PAGE_PLUGS_MAX];
	unsigned count;
};

/* What clients have set for moves. */
struct control_migration {
	struct migrate_observer observer;
	struct migrate_limits_ask limits;
	bool events;
};

struct control {
	struct control_place place;
	struct loop *loop;
	struct control_listener listener;
	struct loop_op *listening, *pause; /* pause: a timer, while no descriptor is free for a client */
	bool closing;                      /* no more requests are carried out */
	struct control_client *clients;
	unsigned client_count;
	struct run_observer observer;
	struct control_call *unsettled,
	        *settled; /* calls that wait for the guest; settled: for settle_task */
	struct loop_task settle_task;
	struct control_look *looks; /* at registers, under way */
	struct control_fdsets fdsets;
	struct control_memory memory;
	struct control_migration migration;
	struct control_told told;
	struct loop_task mirror_task;    /* tells of mirrors that have stopped */
	struct control_limited *limited; /* events that came, of which a guest can cause many */
};

/* ---- a client (client.c, output.c) ---- */

/* A request that waits: its text, or what is wrong with it. */
struct control_request {
	char *text;
	size_t size;
	const char *why; /* NULL: text is a JSON value, perhaps */
};

/* A descriptor that a client sent; name NULL: a free entry. */
struct control_fd {
	char *name;
	int fd;
};

struct control_client {
	struct control *control;
	struct control_client *prev, *next;
	int fd;
	unsigned busy; /* functions under way that still need this struct */
	bool gone;     /* disconnected; freed when nobody is busy with it */
	bool ended;    /* the peer sends no more */
	bool negotiated;
	struct loop_op *reading, *writing;

	struct control_frame frame;
	uint8_t input[CONTROL_READ_BYTES]; /* received, not yet part of a frame */
	size_t input_start, input_end;
	struct control_request queue[CONTROL_QUEUE_MAX];
	unsigned queue_start, queue_count;
	size_t queue_bytes;
	struct control_call *call; /* deferred, under way */
	int passed_fd;             /* the last descriptor that came by SCM_RIGHTS; -1: none */
	struct control_fd fds[CONTROL_FDS_MAX];

	char *output; /* not yet sent */
	size_t output_start, output_end, output_room;
};

/* Greets a client. Takes the descriptor over, also when it fails. */
int control_client_create(struct control *control, int fd, struct err *err) MUST_CHECK;
/* Disconnects a client; why is for the log, NULL: it went by itself. */
void control_client_drop(struct control_client *client, const char *why);
/* While a client is busy its struct stays, even if it is dropped. */
void control_client_enter(struct control_client *client);
void control_client_leave(struct control_client *client);
/* Waits until the socket takes more of the output. */
void control_client_await_room(struct control_client *client);
/* Goes on with the requests that wait, and waits for what is needed next. */
void control_client_pump(struct control_client *client);

/* output.c: sends a document, which it takes over. A client that does not read is dropped. */
void control_client_send(struct control_client *client, json_t *document);
/* Is so much unsent that no more requests should be carried out? */
bool control_client_is_full(const struct control_client *client);
/* Sends what the socket takes of what is unsent. Returns false if the client is lost. */
bool control_client_flush(struct control_client *client);

/* ---- a request (request.c) ---- */

struct control_call {
	struct control *control;
	struct control_client *client; /* NULL: it has gone */
	const struct control_command *command;
	json_t *request;   /* whose id the answer carries */
	json_t *arguments; /* borrowed from request, or an empty object; fits the command's row */
	json_t *no_arguments;
	enum control_class error_class; /* of the error that the handler sets */
	bool deferred;                  /* the answer comes later */
	struct control_call *next;      /* in a list of deferred calls */
};

/* Carries out the request or tells what is wrong with it. Frees nothing of it. */
void control_request_serve(struct control_client *client, const struct control_request *request);

/* From a handler, which returns NULL then: the answer comes later, by control_call_answer(). */
void control_call_defer(struct control_call *call);
/*
 * Answers a deferred call and frees it. Takes ownership of result; NULL: the error of err. The client may
 * have gone; then nobody hears the answer. Not from within a call of another room, because the client's next
 * request is carried out, too.
 */
void control_call_answer(struct control_call *call, json_t *result, const struct err *err);
/* Returns a result without a value, as the command has it: an object or a text. */
json_t *control_call_empty(const struct control_call *call);
/* Returns an empty result at once if the guest is settled (run_is_settled()); otherwise it comes then. */
json_t *control_call_when_settled(struct control_call *call);
/* The guest has settled: their answers come soon. */
void control_on_settled(struct control *control);
/* Sets an error of another class than CONTROL_GENERIC; returns NULL. */
json_t *control_call_refuse(struct control_call *call, enum control_class error_class, struct err *err,
        const char *fmt, ...) PRINTF(4, 5);

/* check.c: do the arguments fit the members? The error is the text that QEMU has for it. */
int control_check_arguments(
        const struct control_member *members, const json_t *arguments, struct err *err) MUST_CHECK;

/* event.c: tells all negotiated clients. Takes data over; NULL: the event has none. */
void control_event_send(struct control *control, const char *name, json_t *data);
/* For struct run_observer; ctx is the struct control. */
void control_event_on_run(void *ctx, const struct run_event *event);
/* event_limited.c */
void control_event_on_disk_error(struct control *control, const struct run_event *event);
void control_event_on_dimm(struct control *control, const struct run_event *event);
void control_limited_free(struct control *control);

/* Is this command there at all for this guest? */
bool control_command_exists(const struct control *control, const struct control_command *command);

/* fds.c: close what a client has sent, and what is in sets. */
void control_fds_finish(struct control_client *client);
/* Takes a descriptor that the client has named; -1: there is none. The caller closes it. */
int control_fds_take(struct control_client *client, const char *name);
void control_fdsets_finish(struct control *control);
/* memory.c: is there a DIMM with this id? */
bool control_is_dimm(const struct control_call *call, const char *id);
void control_memory_finish(struct control *control);
/* memory.c: what the guest's system answered for the DIMM of a slot (ACPIOSTInfo). */
json_t *control_memory_ost(
        const struct control_memory *memory, unsigned slot, uint32_t source, uint32_t status);
/* hmp_info.c: the guest has ended before these looks at registers were done; their clients hear that. */
void control_looks_finish(struct control *control);
/* own.c */
const char *control_row_state_name(enum launch_row_state state);

/* ---- handlers, by file ---- */

/* query.c */
json_t *control_capabilities(struct control_call *call, struct err *err);
json_t *control_query_version(struct control_call *call, struct err *err);
json_t *control_query_commands(struct control_call *call, struct err *err);
json_t *control_query_name(struct control_call *call, struct err *err);
json_t *control_query_uuid(struct control_call *call, struct err *err);
json_t *control_query_kvm(struct control_call *call, struct err *err);
json_t *control_query_target(struct control_call *call, struct err *err);
/* schema.c */
json_t *control_query_schema(struct control_call *call, struct err *err);
/* life.c */
json_t *control_query_status(struct control_call *call, struct err *err);
json_t *control_stop(struct control_call *call, struct err *err);
json_t *control_cont(struct control_call *call, struct err *err);
json_t *control_quit(struct control_call *call, struct err *err);
json_t *control_powerdown(struct control_call *call, struct err *err);
json_t *control_reset(struct control_call *call, struct err *err);
json_t *control_wakeup(struct control_call *call, struct err *err);
/* machine.c */
json_t *control_query_cpus(struct control_call *call, struct err *err);
json_t *control_query_hotpluggable(struct control_call *call, struct err *err);
json_t *control_query_current_machine(struct control_call *call, struct err *err);
json_t *control_query_machines(struct control_call *call, struct err *err);
json_t *control_query_iothreads(struct control_call *call, struct err *err);
json_t *control_query_chardev(struct control_call *call, struct err *err);
json_t *control_device_add(struct control_call *call, struct err *err);
json_t *control_device_del(struct control_call *call, struct err *err);
json_t *control_dump_memory(struct control_call *call, struct err *err);
/* memory.c */
json_t *control_query_memory(struct control_call *call, struct err *err);
json_t *control_query_memory_devices(struct control_call *call, struct err *err);
json_t *control_query_ospm(struct control_call *call, struct err *err);
json_t *control_object_add(struct control_call *call, struct err *err);
json_t *control_object_del(struct control_call *call, struct err *err);
json_t *control_dimm_add(struct control_call *call, struct err *err); /* device_add of a pc-dimm */
/* device.c */
json_t *control_query_block(struct control_call *call, struct err *err);
json_t *control_block_resize(struct control_call *call, struct err *err);
json_t *control_set_link(struct control_call *call, struct err *err);
json_t *control_own_disks(struct control_call *call, struct err *err);
json_t *control_own_networks(struct control_call *call, struct err *err);
/* sev.c */
json_t *control_query_sev(struct control_call *call, struct err *err);
json_t *control_query_sev_capabilities(struct control_call *call, struct err *err);
json_t *control_query_sev_measure(struct control_call *call, struct err *err);
json_t *control_inject(struct control_call *call, struct err *err);
json_t *control_query_sev_report(struct control_call *call, struct err *err);
/* hmp.c */
json_t *control_human(struct control_call *call, struct err *err);
/* fds.c */
json_t *control_getfd(struct control_call *call, struct err *err);
json_t *control_closefd(struct control_call *call, struct err *err);
json_t *control_add_fd(struct control_call *call, struct err *err);
json_t *control_remove_fd(struct control_call *call, struct err *err);
json_t *control_query_fdsets(struct control_call *call, struct err *err);
/* migrate.c */
void control_migration_init(struct control *control);
json_t *control_migrate(struct control_call *call, struct err *err);
json_t *control_migrate_cancel(struct control_call *call, struct err *err);
json_t *control_migrate_start_postcopy(struct control_call *call, struct err *err);
json_t *control_query_migrate(struct control_call *call, struct err *err);
json_t *control_migrate_parameters(struct control_call *call, struct err *err);
json_t *control_query_migrate_parameters(struct control_call *call, struct err *err);
json_t *control_migrate_capabilities(struct control_call *call, struct err *err);
json_t *control_query_migrate_capabilities(struct control_call *call, struct err *err);
json_t *control_own_resolve(struct control_call *call, struct err *err);
/* mirror.c */
void control_mirrors_init(struct control *control);
void control_mirrors_finish(struct control *control); /* ends all of them */
json_t *control_mirror_add(struct control_call *call, struct err *err);
json_t *control_mirror_run(struct control_call *call, struct err *err);
json_t *control_mirror_kick(struct control_call *call, struct err *err);
json_t *control_mirror_del(struct control_call *call, struct err *err);
json_t *control_query_mirrors(struct control_call *call, struct err *err);
/* own.c */
json_t *control_own_pages(struct control_call *call, struct err *err);
/* The record of shared pages as answers have it. */
json_t *control_record_facts(const struct page_record *record);
json_t *control_own_map(struct control_call *call, struct err *err); /* map.c */
json_t *control_flip(const struct page_flip *flip);                  /* a range that was converted often */
json_t *control_own_launch(struct control_call *call, struct err *err);
json_t *control_own_digest(struct control_call *call, struct err *err);
json_t *control_own_exits(struct control_call *call, struct err *err);
json_t *control_own_asids(struct control_call *call, struct err *err);
json_t *control_own_host(struct control_call *call, struct err *err);
json_t *control_own_log_level(struct control_call *call, struct err *err);
json_t *control_own_clock(struct control_call *call, struct err *err);
json_t *control_own_fault(struct control_call *call, struct err *err);
json_t *control_own_firmware_fault(struct control_call *call, struct err *err);

#endif
