/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_migrate: `migrate ADDRESS` and `save PATH` for people: moves the guest, or saves it to a file, waits
 * for the end, and says what became of the guest. A server that is QEMU's is served, too. Main thread only.
 */
#include <signal.h>
#include <string.h>
#include <time.h>

#include "vmm/json.h"

#include "ctl.h"

#define LOOK_MS 100

struct move {
	struct cli_ctl *ctl;
	struct cli_ctl_move how;
	bool saves; /* to a file, whose path the address is */
	const char *address;
	json_t *info;                   /* the last answer of query-migrate */
	double sent_bytes, at_s, per_s; /* what was sent when info came, and how fast */
	bool terminal, shown,
	        asked_to_end; /* standard error is one; a line is there; migrate_cancel was sent */
	bool started_late;    /* migrate-start-postcopy was sent */
};

/* ---- words ---- */

static bool takes_option(struct cli_ctl_move *how, const char *word)
{
	if (strcmp(word, "--keep") == 0)
		how->keep = true;
	else if (strcmp(word, "--handover") == 0)
		how->handover = true;
	else if (strcmp(word, "--postcopy") == 0)
		how->postcopy = true;
	else if (strcmp(word, "--resume") == 0)
		how->resume = true;
	else if (strncmp(word, "--bandwidth=", 12) == 0)
		how->bandwidth = word + 12;
	else if (strncmp(word, "--downtime=", 11) == 0)
		how->downtime = word + 11;
	else
		return false;
	return true;
}

/* "unix:/run/a=b" is an address, "uri=unix:/run/a" is not. */
static bool is_address(const char *word)
{
	return *word != '{' && word[strcspn(word, ":=")] != '=';
}

bool cli_ctl_is_move(const char *const *words, size_t count)
{
	struct cli_ctl_move how;
	bool found = false;

	if (strcmp(words[0], "save") == 0)
		return true;
	for (size_t i = 1; i < count; i++) {
		if (takes_option(&how, words[i]))
			continue;
		if (!is_address(words[i]))
			return false;
		found = true;
	}
	return found && strcmp(words[0], "migrate") == 0;
}

static int read_words(struct move *move, const char *const *words, size_t count, struct err *err)
{
	move->saves = strcmp(words[0], "save") == 0;
	for (size_t i = 1; i < count; i++) {
		if (takes_option(&move->how, words[i]))
			continue;
		if (move->address)
			return err_set(err, ERR_USAGE, "%s takes one %s, and %s is a second one", words[0],
			        move->saves ? "path" : "address", TEXT_VALUE(words[i]));
		move->address = words[i];
	}
	if (move->saves && move->how.resume)
		return err_set(err, ERR_USAGE, "--resume belongs to the command migrate ADDRESS");
	if (move->saves && move->how.handover)
		return err_set(err, ERR_USAGE, "--handover belongs to the command migrate ADDRESS");
	if (move->saves && move->how.postcopy)
		return err_set(err, ERR_USAGE, "--postcopy belongs to the command migrate ADDRESS");
	if (move->address && *move->address)
		return 0;
	return err_set(err, ERR_USAGE, "%s needs %s", words[0], move->saves ? "a path" : "an address");
}

/* ---- commands ---- */

static json_t *call(const struct move *move, const char *command, json_t *arguments, struct err *err)
{
	return cli_ctl_link_call(move->ctl->link, command, arguments, -1, err);
}

static int call_empty(const struct move *move, const char *command, json_t *arguments, struct err *err)
{
	json_t *value = call(move, command, arguments, err);

	json_decref(value);
	return value ? 0 : -1;
}

static int set_limits(const struct move *move, struct err *err)
{
	static const char name[] = "migrate-set-parameters";
	auto_free char *bandwidth = NULL, *downtime = NULL;
	const char *words[3];
	size_t count = 0;
	json_t *arguments;

	if (move->how.bandwidth && asprintf(&bandwidth, "max-bandwidth=%s", move->how.bandwidth) >= 0)
		words[count++] = bandwidth;
	if (move->how.downtime && asprintf(&downtime, "downtime-limit=%s", move->how.downtime) >= 0)
		words[count++] = downtime;
	if (move->how.handover)
		words[count++] = "mode=cpr-transfer";
	if (!count)
		return 0;
	arguments = cli_ctl_arguments(name, words, count, err);
	return arguments ? call_empty(move, name, arguments, err) : -1;
}

/* A server that is QEMU's is told, too. */
static int set_postcopy(const struct move *move, bool on, struct err *err)
{
	return move->how.postcopy ? call_empty(move, "migrate-set-capabilities",
	                                    json_pack("{s:[{s:s,s:b}]}", "capabilities", "capability",
	                                            "postcopy-ram", "state", on),
	                                    err)
	                          : 0;
}

/* With --fd the descriptor gets the name that the address has. */
static int pass_descriptor(const struct move *move, struct err *err)
{
	json_t *value;

	if (move->ctl->fd < 0)
		return 0;
	if (strncmp(move->address, "fd:", 3) != 0)
		return err_set(err, ERR_USAGE, "--fd wants the address fd:NAME");
	value = cli_ctl_link_call(move->ctl->link, "getfd", json_pack("{s:s}", "fdname", move->address + 3),
	        move->ctl->fd, err);
	json_decref(value);
	return value ? 0 : -1;
}

/* A file is named as from here, and not as from where the server was started. The caller frees it. */
static char *whole_address(const struct move *move)
{
	static const char *const schemes[] = {"unix:", "file:"};
	const char *scheme = move->saves ? "file:" : NULL, *path = move->address;
	auto_free char *folder = NULL;
	char *whole = NULL;

	for (size_t i = 0; i < ARRAY_LEN(schemes) && !scheme; i++) {
		if (strncmp(move->address, schemes[i], strlen(schemes[i])) != 0)
			continue;
		scheme = schemes[i];
		path += strlen(scheme);
	}
	if (scheme && *path && *path != '/')
		folder = getcwd(NULL, 0);
	return asprintf(&whole, "%s%s%s%s", scheme ?: "", folder ?: "", folder ? "/" : "", path) < 0 ? NULL
	                                                                                             : whole;
}

static int begin(const struct move *move, struct err *err)
{
	json_t *arguments = json_object();
	auto_free char *address = whole_address(move);

	if (set_limits(move, err) < 0 || set_postcopy(move, true, err) < 0 ||
	        pass_descriptor(move, err) < 0) {
		json_decref(arguments);
		return -1;
	}
	json_doc_set(&arguments, "uri", json_doc_text(address ?: ""));
	if (move->how.resume)
		json_doc_set(&arguments, "resume", json_true());
	return call_empty(move, "migrate", arguments, err);
}

/* --handover and --postcopy are for one move. */
static void end_mode(const struct move *move)
{
	struct err ignored;

	if (set_postcopy(move, false, &ignored) < 0)
		log_debug("%s", ignored.text);
	if (move->how.handover && call_empty(move, "migrate-set-parameters",
	                                  json_pack("{s:s}", "mode", "normal"), &ignored) < 0)
		log_debug("%s", ignored.text);
}

static const char *status_of(const json_t *info)
{
	return json_string_value(json_object_get(info, "status")) ?: "none";
}

static bool is_over(const json_t *info)
{
	static const char *const ends[] = {
	        "none", "completed", "failed", "cancelled", "in-doubt", "postcopy-paused"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if (strcmp(status_of(info), ends[i]) == 0)
			return true;
	}
	return false;
}

/* ---- how it goes ---- */

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void erase(struct move *move)
{
	if (move->shown)
		fputs("\r\033[K", stderr);
	move->shown = false;
}

/* One line, which is written anew each time. */
static void show_progress(struct move *move)
{
	const json_t *ram = json_object_get(move->info, "ram");
	double total = cli_ctl_number(ram, "total"), left = cli_ctl_number(ram, "remaining");
	double stop_ms = cli_ctl_number(move->info, "expected-downtime");
	char speed[TEXT_AMOUNT_BYTES];

	if (!move->terminal)
		return;
	erase(move);
	fputs(move->saves ? "saving: " : "moving: ", stderr);
	if (total > 0 && left <= total)
		fprintf(stderr, "%.0f %%, %s/s, pass %.0f", 100 * (total - left) / total,
		        text_bytes(move->per_s, speed), cli_ctl_number(ram, "dirty-sync-count"));
	else
		text_put_safe(stderr, status_of(move->info));
	if (stop_ms > 0)
		fprintf(stderr, ", would be stopped for %.0f ms", stop_ms);
	fflush(stderr);
	move->shown = true;
}

static int look(struct move *move, struct err *err)
{
	double before = move->at_s, bytes;
	json_t *info = call(move, "query-migrate", NULL, err);

	if (!info)
		return -1;
	json_decref(move->info);
	move->info = info;
	move->at_s = seconds_now();
	bytes = cli_ctl_number(json_object_get(info, "ram"), "transferred");
	if (move->at_s > before && bytes >= move->sent_bytes)
		move->per_s = (bytes - move->sent_bytes) / (move->at_s - before);
	move->sent_bytes = bytes;
	return 0;
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	interrupted = 1;
}

/* The answer may be that it is too late; then the move goes on to its end. */
static int cancel(struct move *move, struct err *err)
{
	move->asked_to_end = true;
	erase(move);
	if (call_empty(move, "migrate_cancel", NULL, err) == 0) {
		fputs("cancelling the move\n", stderr);
		return 0;
	}
	if (!cli_ctl_link_refused(move->ctl->link))
		return -1;
	fputs("the move cannot be cancelled: ", stderr);
	text_put_safe(stderr, err->text);
	fputc('\n', stderr);
	return 0;
}

/* When the first pass is over. A guest that goes over at that moment anyway needs no word. */
static int start_postcopy(struct move *move, struct err *err)
{
	double passes = cli_ctl_number(json_object_get(move->info, "ram"), "dirty-sync-count");

	if (!move->how.postcopy || move->started_late || strcmp(status_of(move->info), "active") != 0 ||
	        passes < 2)
		return 0;
	move->started_late = true;
	if (call_empty(move, "migrate-start-postcopy", NULL, err) == 0 ||
	        cli_ctl_link_refused(move->ctl->link))
		return 0;
	return -1;
}

static int wait_for_end(struct move *move, struct err *err)
{
	bool ended = false;

	while (look(move, err) == 0) {
		if (is_over(move->info))
			return 0;
		if (start_postcopy(move, err) < 0)
			return -1;
		show_progress(move);
		if (interrupted && !move->asked_to_end && cancel(move, err) < 0)
			return -1;
		if (cli_ctl_link_events(move->ctl->link, LOOK_MS, &ended, err) < 0)
			return -1;
		if (ended)
			return err_set(err, ERR_FAILED, CLI_CTL_ENDED);
	}
	return -1;
}

/* A second Ctrl-C ends vmm ctl at once. */
static int wait_or_cancel(struct move *move, struct err *err)
{
	struct sigaction catch = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, before;
	int result;

	interrupted = 0;
	sigaction(SIGINT, &catch, &before);
	if (before.sa_handler == SIG_IGN) /* as of a shell's job in the background */
		sigaction(SIGINT, &before, NULL);
	result = wait_for_end(move, err);
	sigaction(SIGINT, &before, NULL);
	erase(move);
	return result;
}

/* ---- the end ---- */

/* What the guest does on this side: " and is running here". Empty if the server does not say. */
static void put_whereabouts(const struct move *move, char *text, size_t size)
{
	struct err ignored;
	auto_json json_t *now = call(move, "query-status", NULL, &ignored);
	const char *status = json_string_value(json_object_get(now, "status"));

	snprintf(text, size, "%s%s%s", status ? " and is " : "", status ? TEXT_VALUE(status) : "",
	        status ? " here" : "");
}

static int tell_failure(const struct move *move, struct err *err)
{
	const char *why = json_string_value(json_object_get(move->info, "error-desc"));
	const char *done = move->saves ? "saved" : "moved";
	char here[100];

	put_whereabouts(move, here, sizeof(here));
	if (strcmp(status_of(move->info), "failed") != 0)
		return err_set(err, ERR_FAILED, "the move was cancelled: the guest was not %s%s", done, here);
	return err_set(err, ERR_FAILED, "the guest was not %s%s: %s", done, here,
	        why ?: "the server does not say why");
}

static int tell_doubt(const struct move *move, struct err *err)
{
	const char *why = json_string_value(json_object_get(move->info, "error-desc"));

	if (move->saves)
		return err_set(err, ERR_DOUBT,
		        "the guest is in doubt, and does not run here: %s. Nobody knows whether it is in the "
		        "file. See whether a vmm has loaded it (a line `took` in its migrate.record). If "
		        "none has, "
		        "remove the file, and then tell this vmm: __vmm_migrate-resolve runs=true; if one "
		        "has: runs=false",
		        why ?: "the server does not say why");
	return err_set(err, ERR_DOUBT,
	        "the guest is in doubt, and does not run here: %s. Ask the other vmm: migrate ADDRESS "
	        "--resume. If it is gone, read the files of migrate.record, and then tell this vmm: "
	        "__vmm_migrate-resolve runs=true, or runs=false if the other side took the guest (vmm(1))",
	        why ?: "the server does not say why");
}

static int tell_paused(const struct move *move, struct err *err)
{
	const char *why = json_string_value(json_object_get(move->info, "error-desc"));

	return err_set(err, ERR_DOUBT,
	        "the guest runs on the other side, and memory that it lacks there is here alone: %s. Do not "
	        "end "
	        "this vmm; connect again: migrate ADDRESS --resume",
	        why ?: "the connection broke");
}

static void tell_success(const struct move *move)
{
	const json_t *ram = json_object_get(move->info, "ram");
	double passes = cli_ctl_number(ram, "dirty-sync-count");
	char sent[TEXT_AMOUNT_BYTES];

	if (move->ctl->form == CLI_CTL_RAW)
		return;
	if (move->saves) {
		fputs("the guest is in ", stdout);
		text_put_safe(stdout, move->address);
	} else {
		fputs("the guest runs on the other side", stdout);
	}
	printf(": %.3f s, of which it was stopped for %.0f ms; ",
	        cli_ctl_number(move->info, "total-time") / 1000, cli_ctl_number(move->info, "downtime"));
	if (move->how.handover)
		puts("its memory was handed over");
	else
		printf("%s were %s in %.0f pass%s\n", text_bytes(cli_ctl_number(ram, "transferred"), sent),
		        move->saves ? "written" : "sent", passes, passes == 1 ? "" : "es");
	fflush(stdout);
}

static int tell_end(const struct move *move, struct err *err)
{
	const char *status = status_of(move->info);

	if (move->ctl->form == CLI_CTL_RAW)
		cli_ctl_show_value(move->info, CLI_CTL_RAW);
	if (strcmp(status, "in-doubt") == 0)
		return tell_doubt(move, err);
	if (strcmp(status, "postcopy-paused") == 0)
		return tell_paused(move, err);
	if (strcmp(status, "completed") != 0)
		return tell_failure(move, err);
	tell_success(move);
	if (!move->how.keep && call_empty(move, "quit", NULL, err) < 0)
		return err_wrap(err, "the guest was %s, but the vmm that it left does not end",
		        move->saves ? "saved" : "moved");
	return 0;
}

int cli_ctl_migrate(struct cli_ctl *ctl, const char *const *words, size_t count, struct err *err)
{
	struct move move = {
	        .ctl = ctl, .how = ctl->move, .at_s = seconds_now(), .terminal = isatty(STDERR_FILENO)};
	int result;

	if (read_words(&move, words, count, err) < 0)
		return -1;
	result = begin(&move, err);
	end_mode(&move); /* this move keeps the mode that it began with */
	if (result < 0)
		return -1;
	result = wait_or_cancel(&move, err);
	if (result < 0 && !cli_ctl_link_refused(ctl->link)) {
		err_wrap(err,
		        "nobody tells any more what became of the guest; look at the other vmm, and at the "
		        "files of migrate.record");
		err->kind = ERR_DOUBT;
	}
	if (result == 0)
		result = tell_end(&move, err);
	json_decref(move.info);
	return result;
}
