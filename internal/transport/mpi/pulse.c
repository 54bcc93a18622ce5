//go:build mpi

#define _GNU_SOURCE
#include "pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
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
	int period_ms, root, leave_ms;
} pulse;

static long long now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void beat(void) {
	const char byte = PULSE;
	// A full socket has something to read already, and who reads a dead one
	// knows.
	for (int i = 0; i < pulse.n; i++)
		(void)!send(pulse.sockets[i], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void leave(void) {
	static const char why[] = "wasmpool: the root is gone and this rank did not end by itself; it is ended now\n";
	(void)!write(2, why, sizeof why - 1);
	_exit(1);
}

static void *run(void *unused) {
	long long next = now_ms(), deadline = 0;
	for (;;) {
		struct pollfd fds[2] = {{pulse.stop[0], POLLIN, 0}, {deadline ? -1 : pulse.root, POLLRDHUP, 0}};
		long long now = now_ms(), until;
		if (now >= next) {
			beat();
			next = now + pulse.period_ms;
		}
		if (deadline && now >= deadline)
			leave();
		until = deadline && deadline < next ? deadline : next;
		poll(fds, 2, (int)(until - now > 0 ? until - now : 0));
		if (fds[0].revents)
			return NULL;
		if (!deadline && fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR))
			deadline = now_ms() + pulse.leave_ms;
	}
	return unused;
}

int wp_pulse_start(const int *sockets, int n, int period_ms, int root, int leave_ms) {
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
