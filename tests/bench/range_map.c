/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_map: measures vmm's map of shared pages against other forms of it (range_others.c). Each row is one
 * job on a guest of some size with some ranges. The kinds take turns, and the best turn of each counts, since
 * the machine has other work. It judges nothing: docs/performance.md has the figures.
 */
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "range_others.h"

#define TURNS        5
#define SAMPLES      4096u  /* new ranges, looked-up frames */
#define FLIPS        20000u /* of one page */
#define LINEAR_PART  64u    /* a kind that is slow with the ranges does so many times less */
#define THREADS_MAX  4u
#define THREAD_TURNS 25u

struct guest {
	const char *name;
	uint64_t pages;
	uint32_t count;
	struct page_range *ranges; /* count of them, in order */
};

static uint64_t random_state = 0x9e3779b97f4a7c15;
static volatile uint64_t sink; /* keeps the compiler from leaving a result out */

static uint64_t next(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % limit;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* ---- the guest's ranges: one somewhere in each equal part of it, of 1 to 256 pages ---- */

static void make_ranges(struct guest *guest)
{
	uint64_t part = guest->pages / guest->count;

	guest->ranges = calloc(guest->count, sizeof(*guest->ranges));
	if (!guest->ranges)
		abort();
	for (uint32_t i = 0; i < guest->count; i++) {
		uint64_t size = 1 + next(part / 2 - 1 < 256 ? part / 2 - 1 : 256),
		         first = i * part + 1 + next(part / 2 - 1);

		guest->ranges[i] = (struct page_range){first, first + size};
	}
}

/* A private frame of some part that touches no range, in the last quarter of it if it is long. */
static uint64_t private_frame(const struct guest *guest, uint64_t in_part)
{
	uint64_t part = guest->pages / guest->count;

	return (in_part + 1) * part - 1 - (part >= 2048 ? 2 * next(256) : 0);
}

static void *fill(const struct kind *kind, const struct guest *guest)
{
	void *map = kind->create(guest->pages);

	/* 39989 has no divisor in common with any of the counts, so this is each range once, out of order. */
	for (uint64_t i = 0; i < guest->count; i++) {
		const struct page_range *range =
		        &guest->ranges[kind->is_linear ? guest->count - 1 - i : i * 39989 % guest->count];

		kind->set(map, range->first, range->end, true);
	}
	return map;
}

/* ---- jobs: each returns ns for one operation ---- */

static uint64_t frames[SAMPLES]; /* private ones */
static uint64_t asked[SAMPLES];  /* the same, but every second one is shared */

static uint32_t repeats(const struct kind *kind, const struct guest *guest, uint32_t often)
{
	return kind->is_linear && guest->count > 1000 ? often / LINEAR_PART : often;
}

static uint64_t now(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* New ranges of one page: at most one percent more, or 16, which go again outside of the time. */
static double time_set(const struct kind *kind, void *map, const struct guest *guest)
{
	uint32_t often = repeats(kind, guest, SAMPLES), batch = guest->count / 100 + 16;
	uint64_t ns = 0;

	for (uint32_t done = 0; done < often; done += batch) {
		uint64_t start = now();

		for (uint32_t i = done; i < done + batch && i < often; i++)
			kind->set(map, frames[i], frames[i] + 1, true);
		ns += now() - start;
		for (uint32_t i = done; i < done + batch && i < often; i++)
			kind->set(map, frames[i], frames[i] + 1, false);
	}
	return (double)ns / often;
}

static double time_flip(const struct kind *kind, void *map, const struct guest *guest)
{
	uint32_t pairs = repeats(kind, guest, FLIPS) / 32;
	uint64_t start = now();

	for (uint32_t place = 0; place < 16; place++) {
		for (uint32_t i = 0; i < pairs; i++) {
			kind->set(map, frames[place], frames[place] + 1, true);
			kind->set(map, frames[place], frames[place] + 1, false);
		}
	}
	return (double)(now() - start) / (pairs * 32);
}

static double time_lookup(const struct kind *kind, void *map, const struct guest *guest)
{
	uint32_t often = repeats(kind, guest, SAMPLES);
	uint64_t start = now(), shared = 0;

	for (uint32_t i = 0; i < often; i++)
		shared += kind->is_shared(map, asked[i]);
	if (shared != often / 2)
		abort();
	return (double)(now() - start) / often;
}

/* So often as to be longer than the clock's own time. */
static uint32_t walks(const struct guest *guest)
{
	return guest->pages <= GIB(64) / PAGE_SIZE_BYTES ? 1 + SAMPLES / guest->count : 1;
}

static double time_walk(const struct kind *kind, void *map, const struct guest *guest)
{
	uint64_t start = now();

	for (uint32_t i = 0; i < walks(guest); i++)
		sink += kind->walk(map);
	return (double)(now() - start) / guest->count / walks(guest);
}

static double time_snapshot(const struct kind *kind, void *map, const struct guest *guest)
{
	uint64_t start = now();

	for (uint32_t i = 0; i < walks(guest); i++)
		kind->snapshot(map);
	return (double)(now() - start) / guest->count / walks(guest);
}

/* ---- rows ---- */

struct job {
	const char *name, *unit;
	double (*time)(const struct kind *kind, void *map, const struct guest *guest);
};

static const struct job jobs[] = {
        {"set", "ns", time_set},
        {"flip-flop", "ns", time_flip},
        {"lookup", "ns", time_lookup},
        {"iterate", "ns a range", time_walk},
        {"snapshot", "ns a range", time_snapshot},
};

/* The last kind is beside the contest. The first is that with the least, or the most. */
static void print_row(
        const char *job, const struct guest *guest, const double *values, const char *unit, bool most)
{
	unsigned first = 0;

	for (unsigned k = 1; k < KINDS - 1; k++)
		first = most == (values[k] > values[first]) ? k : first;
	printf("| %s | %s | %u |", job, guest->name, guest->count);
	for (unsigned k = 0; k < KINDS; k++)
		printf(k == first ? " **%.*f** |" : " %.*f |", values[k] < 1000 ? 1 : 0, values[k]);
	printf(" %s |\n", unit);
	fflush(stdout);
}

static void print_head(const char *what)
{
	printf("| %s | guest | ranges |", what);
	for (unsigned k = 0; k < KINDS; k++)
		printf(" %s |", kinds[k].name);
	printf(" |\n|---|---|---|---|---|---|---|---|---|\n");
}

static void measure_guest(struct guest *guest)
{
	double times[ARRAY_LEN(jobs)][KINDS], memory[KINDS];
	void *maps[KINDS];

	make_ranges(guest);
	for (unsigned i = 0; i < SAMPLES; i++) {
		frames[i] = private_frame(guest, next(guest->count));
		asked[i] = i % 2 ? guest->ranges[next(guest->count)].first : frames[i];
	}
	for (unsigned k = 0; k < KINDS; k++) {
		uint64_t before = mallinfo2().uordblks;

		maps[k] = fill(&kinds[k], guest);
		memory[k] =
		        (double)(kinds[k].bytes ? kinds[k].bytes(maps[k]) : mallinfo2().uordblks - before) /
		        guest->count;
	}
	for (unsigned turn = 0; turn < TURNS; turn++)
		for (unsigned k = 0; k < KINDS; k++)
			for (unsigned j = 0; j < ARRAY_LEN(jobs); j++) {
				double ns = jobs[j].time(&kinds[k], maps[k], guest);

				times[j][k] = turn ? least(times[j][k], ns) : ns;
			}
	for (unsigned j = 0; j < ARRAY_LEN(jobs); j++)
		print_row(jobs[j].name, guest, times[j], jobs[j].unit, false);
	print_row("memory", guest, memory, "bytes a range", false);
	for (unsigned k = 0; k < KINDS; k++)
		kinds[k].destroy(maps[k]);
	free(guest->ranges);
}

/* ---- threads: each flips pages of its own ---- */

struct flipper {
	const struct kind *kind;
	void *map;
	uint64_t frames[16];
	uint32_t often;
	uint64_t began_ns, ended_ns;
	pthread_barrier_t *start;
	pthread_t thread;
};

static void *flip_all(void *arg)
{
	struct flipper *f = arg;

	pthread_barrier_wait(f->start);
	f->began_ns = clock_ns(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < f->often; i++) {
		uint64_t frame = f->frames[i / 2 % ARRAY_LEN(f->frames)];

		f->kind->set(f->map, frame, frame + 1, i % 2 == 0);
	}
	f->ended_ns = clock_ns(CLOCK_MONOTONIC);
	return NULL;
}

/* Returns changes a microsecond of the clock, of all threads. */
static double time_threads(const struct kind *kind, void *map, const struct guest *guest, unsigned threads)
{
	static struct flipper flippers[THREADS_MAX];
	uint32_t often = repeats(kind, guest, 2 * FLIPS);
	pthread_barrier_t start;
	uint64_t began = UINT64_MAX, ended = 0;

	pthread_barrier_init(&start, NULL, threads);
	for (unsigned t = 0; t < threads; t++) {
		flippers[t] = (struct flipper){.kind = kind, .map = map, .often = often, .start = &start};
		for (unsigned i = 0; i < ARRAY_LEN(flippers[t].frames);
		        i++) /* in the t-th part of the guest */
			flippers[t].frames[i] = private_frame(
			        guest, next(guest->count / threads) + t * (guest->count / threads));
		if (pthread_create(&flippers[t].thread, NULL, flip_all, &flippers[t]))
			abort();
	}
	for (unsigned t = 0; t < threads; t++) {
		pthread_join(flippers[t].thread, NULL);
		began = flippers[t].began_ns < began ? flippers[t].began_ns : began;
		ended = flippers[t].ended_ns > ended ? flippers[t].ended_ns : ended;
	}
	pthread_barrier_destroy(&start);
	return (double)often * threads / ((double)(ended - began) / 1e3);
}

static void measure_threads(struct guest *guest)
{
	double values[KINDS];
	void *maps[KINDS];
	char name[32];

	make_ranges(guest);
	for (unsigned k = 0; k < KINDS; k++)
		maps[k] = fill(&kinds[k], guest);
	for (unsigned threads = 1; threads <= THREADS_MAX; threads *= 2) {
		for (unsigned k = 0; k < KINDS; k++) {
			values[k] = 0;
			for (unsigned turn = 0; turn < THREAD_TURNS; turn++) {
				double value = time_threads(&kinds[k], maps[k], guest, threads);

				values[k] = value > values[k] ? value : values[k];
			}
		}
		snprintf(name, sizeof(name), "%u threads", threads);
		print_row(name, guest, values, "changes a us", true);
	}
	for (unsigned k = 0; k < KINDS; k++)
		kinds[k].destroy(maps[k]);
	free(guest->ranges);
}

/* ---- a recorded trace ---- */

struct change {
	uint64_t first, end;
	bool shared;
};

struct trace {
	struct change *changes;
	size_t count;
	uint64_t pages; /* up to the highest frame */
};

static bool read_line(const char *line, struct change *change)
{
	long long first, pages;
	char state[9];

	if (sscanf(line, "%lli %lli %8s", &first, &pages, state) != 3 || first < 0 || pages <= 0 ||
	        (uint64_t)first >= PAGE_RANGE_MAP_PAGES_MAX ||
	        (uint64_t)pages > PAGE_RANGE_MAP_PAGES_MAX - (uint64_t)first)
		return false;
	change->shared = strcmp(state, "shared") == 0;
	change->first = (uint64_t)first;
	change->end = change->first + (uint64_t)pages;
	return change->shared || strcmp(state, "private") == 0;
}

static int read_trace(const char *path, struct trace *trace)
{
	auto_fclose FILE *file = fopen(path, "re");
	char line[100];

	*trace = (struct trace){0};
	if (!file) {
		perror(path);
		return -1;
	}
	while (fgets(line, sizeof(line), file)) {
		struct change *change;

		trace->changes = reallocarray(trace->changes, trace->count + 1, sizeof(*trace->changes));
		if (!trace->changes)
			abort();
		change = &trace->changes[trace->count++];
		if (!read_line(line, change)) {
			fprintf(stderr, "%s:%zu: not \"FRAME PAGES shared|private\"\n", path, trace->count);
			return -1;
		}
		trace->pages = change->end > trace->pages ? change->end : trace->pages;
	}
	return 0;
}

static double time_trace(const struct kind *kind, const struct trace *trace)
{
	void *map = kind->create(trace->pages);
	uint64_t start = now();

	for (size_t i = 0; i < trace->count; i++)
		kind->set(map, trace->changes[i].first, trace->changes[i].end, trace->changes[i].shared);
	start = now() - start;
	kind->destroy(map);
	return (double)start / (double)trace->count;
}

/* How many ranges there are at its end. */
static uint32_t ranges_of(const struct trace *trace)
{
	struct page_range_map *map = kinds[0].create(trace->pages);
	uint64_t ranges, pages;

	for (size_t i = 0; i < trace->count; i++)
		kinds[0].set(map, trace->changes[i].first, trace->changes[i].end, trace->changes[i].shared);
	page_range_map_count(map, &ranges, &pages);
	page_range_map_destroy(map);
	return (uint32_t)ranges;
}

static int measure_trace(const char *path)
{
	struct guest guest = {.name = path};
	double values[KINDS];
	struct trace trace;

	if (read_trace(path, &trace) < 0 || !trace.count) {
		free(trace.changes);
		return -1;
	}
	for (unsigned turn = 0; turn < TURNS; turn++)
		for (unsigned k = 0; k < KINDS; k++) {
			double ns = time_trace(&kinds[k], &trace);

			values[k] = turn ? least(values[k], ns) : ns;
		}
	guest.count = ranges_of(&trace);
	print_row("replay", &guest, values, "ns a change", false);
	free(trace.changes);
	return 0;
}

static int usage(FILE *out)
{
	fprintf(out,
	        "usage: bench_range_map [TRACE]...\n"
	        "What the map of shared pages costs, against a bitmap, a list, a tree, and a bitmap "
	        "without a\nlock (bits): for guests of several sizes, or for these recorded conversions, "
	        "one a line:\nFRAME PAGES shared|private. Prints the best of several turns; judges "
	        "nothing.\n");
	return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const uint32_t counts[] = {60, 10000, 65536};
	static const struct guest guests[] = {
	        {"2 GiB", GIB(2) / PAGE_SIZE_BYTES},
	        {"64 GiB", GIB(64) / PAGE_SIZE_BYTES},
	        {"64 TiB", GIB(65536) / PAGE_SIZE_BYTES},
	};

	if (argc > 1 && argv[1][0] == '-')
		return usage(strcmp(argv[1], "--help") == 0 ? stdout : stderr);
	print_head("job");
	for (int i = 1; i < argc; i++)
		if (measure_trace(argv[i]) < 0)
			return 1;
	for (size_t g = 0; g < ARRAY_LEN(guests) && argc == 1; g++) {
		for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
			struct guest guest = guests[g];

			guest.count = counts[c];
			measure_guest(&guest);
			if (g == 1)
				measure_threads(&guest);
		}
	}
	return 0;
}
