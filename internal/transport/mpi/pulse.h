// The pulse is a thread of a rank that shows its peers, over the lifeline's
// connections, that the process runs. It needs nothing of Go, which may stand
// still for long while a guest computes.

// PULSE is the byte that it sends.
enum { PULSE = 2 };

// wp_pulse_start starts the thread: every period_ms it sends PULSE to each of n
// sockets. When root is not -1 it is the socket to the root: leave_ms after its
// peer has hung up the process is ended, if it is still there. It returns 0, or
// an error number. There is one pulse in a process.
int wp_pulse_start(const int *sockets, int n, int period_ms, int root, int leave_ms);

// wp_pulse_stop ends the thread and waits for it. After that the sockets may be
// closed. Without a pulse it does nothing.
void wp_pulse_stop(void);
