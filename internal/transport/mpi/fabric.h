#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

// Limits of one crossing into C.
enum {
	WP_FRAMES = 64,       // frames that one poll returns, a power of two
	WP_DONE = 64,         // payload chunks that one poll reports
	WP_HEADER = 8,        // transport header of a frame: its type and a count
	WP_LONGEST = 4 << 10, // the longest message, header included
};

typedef struct {
	char *data; // valid until the next poll
	int32_t from;
	int32_t length; // header included
} wp_frame;

// What wp_poll hands back. It lies in C memory.
typedef struct {
	int32_t frames;
	int32_t done;
	int32_t pending; // frames that have not left yet
	int32_t code;    // MPI's error code, 0 if all is well
	const char *call; // the call that failed
	wp_frame frame[WP_FRAMES];
	int32_t finished[WP_DONE]; // handles given to wp_chunk
	int8_t bad[WP_DONE];       // of those: not all of the chunk came, or more than it
} wp_result;

// The place of a process among the ranks. A size of 0 is none.
typedef struct {
	int rank, size;
	int local; // ranks of this node
	int root_is_local;
	int differ; // not all ranks were given the same members; nothing else counts then
} wp_place;

// wp_yield says whether MPI gives up the CPU in each look that finds nothing; a
// negative value changes nothing. It returns 0 where MPI cannot be told.
int wp_yield(int on);

const char *wp_start(int *code, int *provided);
const char *wp_communicators(int *code, const int *ranks, int n, wp_place *place);

// wp_share gives all ranks the root's data, and has them meet as wp_drain does: a rank
// that is confined later cannot make the connections which that takes.
const char *wp_share(int *code, void *data, int n);

// wp_gather gives the root n bytes of each rank.
const char *wp_gather(int *code, const void *mine, int n, void *all);

wp_result *wp_new(void);
void wp_send(wp_result *r, int to, uint32_t type, uint32_t count, const void *data, int n);
void wp_chunk(wp_result *r, int send, int peer, int tag, void *data, int n, int32_t handle);
void wp_poll(wp_result *r);

// wp_drain waits until all ranks call it. What they have sent meanwhile is received
// and dropped, as MPI is not to end over messages that nobody takes.
void wp_drain(wp_result *r);
void wp_forget(int rank);
int wp_error(int code, char *text);
int wp_library(char *text);
