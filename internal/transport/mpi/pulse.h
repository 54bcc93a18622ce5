#include <stdint.h>

// The pulse is a thread of a rank that shows its peers, over the lifeline's
// connections, that the rank goes on. It needs nothing of Go: where a guest keeps Go
// from going on, it tells the peers, and ends the process.

// PULSE is the byte that it sends. STILL comes in its place, once, when Go stands
// still, with the 8 bytes of wp_suspect behind it, the lowest first.
enum { PULSE = 2, STILL = 3 };

// Go shows that it goes on by making wp_signs grow. wp_suspect is the number of a call
// that may keep it from doing so, or 0. Both are atomic.
extern uint64_t wp_signs, wp_suspect;

// wp_pulse_start starts the thread: every period_ms in which wp_signs has grown it sends
// PULSE to each of n sockets. Go stands still when that has not grown for half of silence_ms,
// for which the thread itself was awake, and the process used CPU meanwhile; after
// silence_ms and leave_ms the process is ended. With a silence_ms of 0 wp_signs does not matter.
// When root is not -1 it is the socket to the root: leave_ms after its peer has hung
// up the process is ended, if it is still there. It returns 0, or an error number. There
// is one pulse in a process.
int wp_pulse_start(const int *sockets, int n, int period_ms, int silence_ms, int root, int leave_ms);

// wp_pulse_stop ends the thread and waits for it. After that the sockets may be
// closed. Without a pulse it does nothing.
void wp_pulse_stop(void);
