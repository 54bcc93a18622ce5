//go:build mpi

#define _GNU_SOURCE // for RTLD_DEFAULT

#include "fabric.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// Frames and payloads have a communicator each, so that a probe for frames
// never sees a payload and payloads may use every tag.
static MPI_Comm frames, payloads;

enum { TAG_FRAME = 1 };

// Requests under way, side by side so that one MPI_Testsome looks at all.
typedef struct {
	MPI_Request *request;
	void **buffer;    // of a frame: to be given back
	int32_t *handle;  // of a chunk
	int *expect;      // bytes of a chunk to be received; -1 for others
	int n, cap;
	int next; // where the next test begins
} list;

static list sends, chunks;

// The frames that are being received, a ring. They are handed over in the order
// in which they were found, so that those of a sender keep theirs; several are
// under way at once, because a long frame takes some turns of both sides.
typedef struct {
	MPI_Request request;
	wp_frame frame; // from is -1 when it must not be handed over
} incoming;

static incoming ring[WP_FRAMES];
static unsigned head, tail; // ring[head, tail) are under way
static unsigned given;      // ring[given, head) were handed over by the last poll

static incoming *at(unsigned i) { return &ring[i % WP_FRAMES]; }

static int *indices;
static MPI_Status *statuses;
static int indices_cap;

static void grow(list *l) {
	if (l->n < l->cap)
		return;
	int cap = l->cap ? 2 * l->cap : 256;
	l->request = realloc(l->request, cap * sizeof *l->request);
	l->buffer = realloc(l->buffer, cap * sizeof *l->buffer);
	l->handle = realloc(l->handle, cap * sizeof *l->handle);
	l->expect = realloc(l->expect, cap * sizeof *l->expect);
	if (cap > indices_cap) {
		indices = realloc(indices, cap * sizeof *indices);
		statuses = realloc(statuses, cap * sizeof *statuses);
		indices_cap = cap;
	}
	if (!l->request || !l->buffer || !l->handle || !l->expect || !indices || !statuses)
		abort(); // out of memory: Go would do the same
	l->cap = cap;
}

// Buffers of sent frames, kept for the next ones.
static void *spare[256];
static int spares;

static void *take_buffer(void) {
	void *b = spares ? spare[--spares] : malloc(WP_LONGEST);
	if (!b)
		abort();
	return b;
}

static void give_buffer(void *b) {
	if (spares < 256)
		spare[spares++] = b;
	else
		free(b);
}

int wp_yield(int on) {
	void (*set)(bool);
	*(void **)&set = dlsym(RTLD_DEFAULT, "opal_progress_set_yield_when_idle");
	if (set && on >= 0)
		set(on);
	return set != NULL;
}

const char *wp_start(int *code, int *provided) {
	*code = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, provided);
	return "MPI_Init_thread";
}

// differ tells whether not all ranks were given the same members, by a hash of them.
static int differ(int *code, const int *ranks, int n) {
	unsigned long long hash = 14695981039346656037ULL;
	long long mine[2], most[2];
	for (int i = -1; i < n; i++)
		hash = (hash ^ (unsigned)(i < 0 ? n : ranks[i])) * 1099511628211ULL;
	mine[0] = (long long)(hash >> 2);
	mine[1] = -mine[0];
	*code = MPI_Allreduce(mine, most, 2, MPI_LONG_LONG, MPI_MAX, MPI_COMM_WORLD);
	return *code == MPI_SUCCESS && most[0] != -most[1];
}

const char *wp_communicators(int *code, const int *ranks, int n, wp_place *place) {
	MPI_Comm base = MPI_COMM_WORLD, node;
	MPI_Group all, members;
	int lowest;
	if ((*code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN)))
		return "MPI_Comm_set_errhandler";
	place->differ = differ(code, ranks, n);
	if (*code || place->differ)
		return "MPI_Allreduce";
	if (n > 0) {
		if ((*code = MPI_Comm_group(MPI_COMM_WORLD, &all)) || (*code = MPI_Group_incl(all, n, ranks, &members)))
			return "MPI_Group_incl";
		if ((*code = MPI_Comm_create(MPI_COMM_WORLD, members, &base)))
			return "MPI_Comm_create";
		if ((*code = MPI_Group_free(&members)) || (*code = MPI_Group_free(&all)))
			return "MPI_Group_free";
	}
	if (base == MPI_COMM_NULL)
		return "";
	if ((*code = MPI_Comm_rank(base, &place->rank)) || (*code = MPI_Comm_size(base, &place->size)))
		return "MPI_Comm_size";
	if ((*code = MPI_Comm_dup(base, &frames)) || (*code = MPI_Comm_dup(base, &payloads)))
		return "MPI_Comm_dup";
	if ((*code = MPI_Comm_set_errhandler(frames, MPI_ERRORS_RETURN)) || (*code = MPI_Comm_set_errhandler(payloads, MPI_ERRORS_RETURN)))
		return "MPI_Comm_set_errhandler";
	if ((*code = MPI_Comm_split_type(base, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node)))
		return "MPI_Comm_split_type";
	if ((*code = MPI_Comm_size(node, &place->local)))
		return "MPI_Comm_size";
	if ((*code = MPI_Allreduce(&place->rank, &lowest, 1, MPI_INT, MPI_MIN, node)))
		return "MPI_Allreduce";
	place->root_is_local = lowest == 0;
	*code = MPI_Comm_free(&node);
	return "MPI_Comm_free";
}

const char *wp_share(int *code, void *data, int n) {
	MPI_Request all;
	if ((*code = MPI_Bcast(data, n, MPI_BYTE, 0, frames)) != MPI_SUCCESS)
		return "MPI_Bcast";
	if ((*code = MPI_Ibarrier(frames, &all)) != MPI_SUCCESS)
		return "MPI_Ibarrier";
	*code = MPI_Wait(&all, MPI_STATUS_IGNORE);
	return "MPI_Wait";
}

const char *wp_gather(int *code, const void *mine, int n, void *all) {
	*code = MPI_Gather(mine, n, MPI_BYTE, all, n, MPI_BYTE, 0, frames);
	return "MPI_Gather";
}

wp_result *wp_new(void) {
	wp_result *r = calloc(1, sizeof *r);
	if (!r)
		abort();
	for (int i = 0; i < WP_FRAMES; i++)
		if (!(ring[i].frame.data = malloc(WP_LONGEST)))
			abort();
	return r;
}

static int failed(wp_result *r, int code, const char *call) {
	if (code != MPI_SUCCESS && r->code == MPI_SUCCESS) {
		r->code = code;
		r->call = call;
	}
	return code != MPI_SUCCESS;
}

void wp_send(wp_result *r, int to, uint32_t type, uint32_t count, const void *data, int n) {
	int done = 0;
	uint32_t header[2] = {type, count};
	char *b = take_buffer();
	memcpy(b, header, WP_HEADER);
	if (n)
		memcpy(b + WP_HEADER, data, n);
	grow(&sends);
	MPI_Request *request = &sends.request[sends.n];
	if (failed(r, MPI_Isend(b, n + WP_HEADER, MPI_BYTE, to, TAG_FRAME, frames, request), "MPI_Isend")) {
		give_buffer(b);
		return;
	}
	// A short frame has left already.
	if (failed(r, MPI_Test(request, &done, MPI_STATUS_IGNORE), "MPI_Test") || done) {
		give_buffer(b);
		return;
	}
	sends.buffer[sends.n++] = b;
	r->pending = sends.n;
}

void wp_chunk(wp_result *r, int send, int peer, int tag, void *data, int n, int32_t handle) {
	grow(&chunks);
	MPI_Request *request = &chunks.request[chunks.n];
	int code = send ? MPI_Isend(data, n, MPI_BYTE, peer, tag, payloads, request)
	                : MPI_Irecv(data, n, MPI_BYTE, peer, tag, payloads, request);
	if (failed(r, code, send ? "MPI_Isend" : "MPI_Irecv"))
		return;
	chunks.expect[chunks.n] = send ? -1 : n;
	chunks.handle[chunks.n++] = handle;
}

// is_bad reports whether a chunk did not come as it should. MPI sets the errors of
// statuses only where it says so.
static int is_bad(const MPI_Status *status, int has_errors, int expect) {
	int n = 0;
	if (has_errors && status->MPI_ERROR != MPI_SUCCESS)
		return 1;
	return expect >= 0 && (MPI_Get_count(status, MPI_BYTE, &n) != MPI_SUCCESS || n != expect);
}

// drop_done takes the requests that Testsome found complete, from the given one on,
// off the list.
static void drop_done(list *l, int from, int n, int has_errors, wp_result *r) {
	int kept = 0;
	for (int i = 0; i < n; i++) {
		int at = from + indices[i];
		if (l == &chunks) {
			r->bad[r->done] = is_bad(&statuses[i], has_errors, l->expect[at]);
			r->finished[r->done++] = l->handle[at];
			if (l->request[at] != MPI_REQUEST_NULL) { // it ended with an error
				failed(r, MPI_Request_free(&l->request[at]), "MPI_Request_free");
				l->request[at] = MPI_REQUEST_NULL;
			}
		} else {
			give_buffer(l->buffer[at]);
		}
	}
	for (int i = 0; i < l->n; i++) {
		if (l->request[i] == MPI_REQUEST_NULL)
			continue;
		l->request[kept] = l->request[i];
		l->buffer[kept] = l->buffer[i];
		l->handle[kept] = l->handle[i];
		l->expect[kept] = l->expect[i];
		kept++;
	}
	l->n = kept;
}

// test looks for requests that are complete, among so many. Where none is, it looks
// further on the next time: those of a rank that is lost may never be.
static void test(list *l, int most, wp_result *r) {
	int n = 0, from = l->next < l->n ? l->next : 0;
	int count = l->n - from < most ? l->n - from : most;
	if (!count)
		return;
	int code = MPI_Testsome(count, l->request + from, &n, indices, statuses);
	int has_errors = l == &chunks && code == MPI_ERR_IN_STATUS;
	if (!has_errors && failed(r, code, "MPI_Testsome"))
		return;
	l->next = from;
	if (n != MPI_UNDEFINED && n > 0)
		drop_done(l, from, n, has_errors, r);
	else
		l->next += count;
}

// begin starts to receive the next frame, if there is one.
static int begin(wp_result *r) {
	MPI_Message message;
	MPI_Status status;
	int found = 0, n = 0;
	incoming *in = at(tail);
	// Open MPI looks first and makes progress after: when nothing was found
	// yet, look twice.
	for (int tries = head != tail ? 1 : 2; tries > 0 && !found; tries--)
		if (failed(r, MPI_Improbe(MPI_ANY_SOURCE, TAG_FRAME, frames, &found, &message, &status), "MPI_Improbe"))
			return 0;
	if (!found || failed(r, MPI_Get_count(&status, MPI_BYTE, &n), "MPI_Get_count") ||
	    failed(r, MPI_Imrecv(in->frame.data, n, MPI_BYTE, &message, &in->request), "MPI_Imrecv"))
		return 0;
	in->frame.from = status.MPI_SOURCE;
	in->frame.length = n;
	tail++;
	return 1;
}

// receive hands over the frames that are here, in their order.
static void receive(wp_result *r) {
	given = head;
	while (tail - given < WP_FRAMES && begin(r))
		;
	for (; head != tail; head++) {
		int done = 0;
		incoming *in = at(head);
		if (in->frame.from >= 0) {
			if (failed(r, MPI_Test(&in->request, &done, MPI_STATUS_IGNORE), "MPI_Test") || !done)
				return;
			r->frame[r->frames++] = in->frame;
		}
	}
}

void wp_poll(wp_result *r) {
	r->frames = r->done = 0;
	test(&sends, sends.n, r);
	test(&chunks, WP_DONE, r);
	receive(r);
	r->pending = sends.n;
}

void wp_drain(wp_result *r) {
	MPI_Request all;
	int done = 0;
	while (sends.n && !r->code)
		wp_poll(r);
	if (failed(r, MPI_Ibarrier(frames, &all), "MPI_Ibarrier"))
		return;
	while (!done) {
		wp_poll(r);
		if (failed(r, MPI_Test(&all, &done, MPI_STATUS_IGNORE), "MPI_Test"))
			return;
		sched_yield();
	}
	wp_poll(r);
}

void wp_forget(int rank) {
	for (unsigned i = head; i != tail; i++) {
		incoming *in = at(i);
		if (in->frame.from != rank)
			continue;
		// The rest of the frame will never come, or must not count. MPI may
		// still write to its memory, so that is given up.
		in->frame.from = -1;
		if (!(in->frame.data = malloc(WP_LONGEST)))
			abort();
	}
}

int wp_error(int code, char *text) {
	int n = 0;
	MPI_Error_string(code, text, &n);
	return n;
}

int wp_library(char *text) {
	int n = 0;
	MPI_Get_library_version(text, &n);
	return n;
}
