//go:build mpi

#define _GNU_SOURCE
#include "pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef POLLRDHUP // Linux only; elsewhere the pulse cannot see that the root hung up
#define POLLRDHUP 0
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static struct {
	pthread_t thread;
	int running;
	int stop[2]; // a pipe; a byte stops the thread
	int *sockets, n;
	int period_ms, silence_ms, root, leave_ms;

	uint64_t seen;     // wp_signs, when it had last grown
	long long cpu;     // what the process had used then
	long long still;   // for how long the thread was awake since
	long long looked;  // when it last looked
	int asleep;        // for how long it then meant to sleep
	int told;          // the peers that Go stands still
} pulse;

uint64_t wp_signs, wp_suspect;

static long long clock_ms(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static long long now_ms(void) { return clock_ms(CLOCK_MONOTONIC); }
static long long used_ms(void) { return clock_ms(CLOCK_PROCESS_CPUTIME_ID); }

// say sends to all peers. A full socket has something to read already, and who reads
// a dead one knows.
static void say(const void *bytes, size_t n) {
	for (int i = 0; i < pulse.n; i++)
		(void)!send(pulse.sockets[i], bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void beat(void) {
	const char byte = PULSE;
	say(&byte, 1);
}

static void leave(const char *why) {
	(void)!write(2, why, strlen(why));
	_exit(1);
}

static void tell_still(void) {
	char line[160];
	unsigned char said[9] = {STILL};
	uint64_t call = __atomic_load_n(&wp_suspect, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 8; i++)
		said[1 + i] = (unsigned char)(call >> 8 * i);
	say(said, sizeof said);
	pulse.told = 1;
	if (call)
		snprintf(line, sizeof line, "wasmpool: this rank stands still for %lld ms: call %llu does not let it go on\n", pulse.still, (unsigned long long)call);
	else
		snprintf(line, sizeof line, "wasmpool: this rank stands still for %lld ms: a call does not let it go on\n", pulse.still);
	(void)!write(2, line, strlen(line));
}

// look sends the pulse if Go goes on, and returns when to look again. Time in which this
// thread did not run either, as the process was stopped or the machine is busy, is not
// Go's.
static int look(long long now) {
	uint64_t signs = __atomic_load_n(&wp_signs, __ATOMIC_SEQ_CST);
	long long waited = now - pulse.looked;
	pulse.looked = now;
	if (!pulse.silence_ms || signs != pulse.seen) {
		pulse.seen = signs;
		pulse.still = 0;
		pulse.cpu = used_ms();
		beat();
		return pulse.asleep = pulse.period_ms;
	}
	pulse.still += waited < 2 * pulse.asleep ? waited : 2 * pulse.asleep;
	if (!pulse.told && pulse.still >= pulse.silence_ms / 2 && used_ms() - pulse.cpu >= pulse.still / 8)
		tell_still();
	if (pulse.still >= pulse.silence_ms + pulse.leave_ms)
		leave("wasmpool: this rank stands still for too long; it is ended now\n");
	return pulse.asleep = pulse.period_ms >= 8 ? pulse.period_ms / 8 : 1;
}

static void *run(void *unused) {
	long long next = now_ms(), deadline = 0;
	pulse.looked = next;
	pulse.seen = __atomic_load_n(&wp_signs, __ATOMIC_SEQ_CST) - 1; // the first pulse shows that the peers hear it
	pulse.asleep = pulse.period_ms;
	for (;;) {
		struct pollfd fds[2] = {{pulse.stop[0], POLLIN, 0}, {deadline ? -1 : pulse.root, POLLRDHUP, 0}};
		long long now = now_ms(), until;
		if (now >= next)
			next = now + look(now);
		if (deadline && now >= deadline)
			leave("wasmpool: the root is gone and this rank did not end by itself; it is ended now\n");
		until = deadline && deadline < next ? deadline : next;
		poll(fds, 2, (int)(until - now > 0 ? until - now : 0));
		if (fds[0].revents)
			return NULL;
		if (!deadline && fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR))
			deadline = now_ms() + pulse.leave_ms;
	}
	return unused;
}

int wp_pulse_start(const int *sockets, int n, int period_ms, int silence_ms, int root, int leave_ms) {
	sigset_t all, before;
	int error;
	if (pulse.running)
		return EBUSY;
	pulse.sockets = malloc((n ? n : 1) * sizeof *sockets);
	if (!pulse.sockets)
		return ENOMEM;
	memcpy(pulse.sockets, sockets, n * sizeof *sockets);
	pulse.n = n;
	pulse.period_ms = period_ms;
	pulse.silence_ms = silence_ms;
	pulse.still = 0;
	pulse.told = 0;
	pulse.root = root;
	pulse.leave_ms = leave_ms;
	if (pipe(pulse.stop)) {
		error = errno;
		free(pulse.sockets);
		return error;
	}
	fcntl(pulse.stop[0], F_SETFD, FD_CLOEXEC);
	fcntl(pulse.stop[1], F_SETFD, FD_CLOEXEC);
	sigfillset(&all); // signals are Go's
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&pulse.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		close(pulse.stop[0]);
		close(pulse.stop[1]);
		free(pulse.sockets);
		return error;
	}
	pulse.running = 1;
	return 0;
}

void wp_pulse_stop(void) {
	if (!pulse.running)
		return;
	// Closing would not do: a child that was started meanwhile may have the end, too.
	(void)!write(pulse.stop[1], "", 1);
	pthread_join(pulse.thread, NULL);
	close(pulse.stop[0]);
	close(pulse.stop[1]);
	free(pulse.sockets);
	pulse.running = 0;
}
