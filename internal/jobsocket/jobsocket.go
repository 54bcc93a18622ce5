package jobsocket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Env names the environment variable that names another folder for jobs.
const Env = "WASMPOOL_JOBS"

// A Note says what a job is.
type Note struct {
	PID     int       `json:"pid"` // of the root
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	Folder  string    `json:"folder"` // the root's working folder
	Command []string  `json:"command"`
}

// A Socket is what a job listens on.
type Socket struct {
	net.Listener
	name string
	path string // of the socket
}

// Names of files.
const (
	socketEnd = ".sock"
	noteEnd   = ".json"
	partEnd   = ".part"
)

// mostNames is how many jobs of one process are told apart.
const mostNames = 100

// Listen makes the socket of a job in the first folder in which it can. Close removes it.
func Listen(note Note) (*Socket, error) {
	dirs := folders()
	if len(dirs) == 0 {
		return nil, errors.ErrUnsupported
	}
	var errs []error
	for _, dir := range dirs {
		s, err := listenIn(dir, note)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// listenIn makes the socket in a folder. Another job may just remove that, so it tries again.
func listenIn(dir string, note Note) (*Socket, error) {
	const tries = 10
	for n := 1; ; n++ {
		err := makeFolder(dir)
		var s *Socket
		if err == nil {
			s, err = bind(dir, note)
		}
		if err == nil || n == tries || !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
}

// bind makes the socket under the first name that is free, and then the note.
func bind(dir string, note Note) (*Socket, error) {
	for n := 1; n <= mostNames; n++ {
		name := strconv.Itoa(note.PID)
		if n > 1 {
			name += "." + strconv.Itoa(n)
		}
		path := filepath.Join(dir, name+socketEnd)
		if _, err := os.Lstat(path); err == nil {
			look(context.Background(), path) // it removes what a killed job has left
			if _, err := os.Lstat(path); err == nil {
				continue
			}
		}
		l, err := new(net.ListenConfig).Listen(context.Background(), "unix", path) // it does not block
		switch {
		case isTaken(err):
			continue
		case err != nil:
			return nil, err
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // by then the name may be another job's
		}
		s := &Socket{l, name, path}
		if err := errors.Join(checkFolder(dir), os.Chmod(path, 0o600), s.write(note)); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	return nil, fmt.Errorf("jobsocket: process %d has %d jobs in %s", note.PID, mostNames, dir)
}

// Name returns the name of the job.
func (s *Socket) Name() string { return s.name }

// write makes the note, which has its name when it is whole.
func (s *Socket) write(note Note) error {
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	file := noteOf(s.path)
	os.Remove(file + partEnd) //nolint:errcheck // of a killed job
	part, err := os.OpenFile(file+partEnd, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = part.Write(text)
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	return os.Rename(file+partEnd, file)
}

// Close ends listening, and removes what the job has made.
func (s *Socket) Close() error {
	remove(s.path)
	os.Remove(filepath.Dir(s.path)) //nolint:errcheck // unless another job is there
	return s.Listener.Close()
}

// remove removes the files of a job.
func remove(socket string) {
	for _, name := range []string{noteOf(socket), noteOf(socket) + partEnd, socket} {
		os.Remove(name) //nolint:errcheck // whoever lists the jobs tries again
	}
}

func noteOf(socket string) string { return strings.TrimSuffix(socket, socketEnd) + noteEnd }

// A Job is a running job.
type Job struct {
	Name string
	Note
	socket string
}

// Dial connects to the job.
func (j Job) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", j.socket)
}

// List returns this user's running jobs on this host, the oldest first, and removes what is left of those that have
// ended without doing so.
func List(ctx context.Context) ([]Job, error) {
	var list []Job
	var errs []error
	for _, dir := range folders() {
		if err := checkFolder(dir); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			continue
		}
		sockets, err := filepath.Glob(filepath.Join(quoteGlob(dir), "*"+socketEnd))
		errs = append(errs, err)
		for _, socket := range sockets {
			if j, runs := look(ctx, socket); runs {
				list = append(list, j)
			}
		}
		os.Remove(dir) //nolint:errcheck // unless a job is there
	}
	slices.SortFunc(list, func(a, b Job) int { return a.Started.Compare(b.Started) })
	if len(list) > 0 {
		return list, nil
	}
	return nil, errors.Join(errs...)
}

// quoteGlob returns a pattern that matches a path and nothing else.
func quoteGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// beginning is for how long a socket may be there before its note is.
const beginning = time.Minute

// look returns the job behind a socket, if somebody listens and it has a note.
func look(ctx context.Context, socket string) (j Job, runs bool) {
	j = Job{Name: strings.TrimSuffix(filepath.Base(socket), socketEnd), socket: socket}
	text, err := os.ReadFile(noteOf(socket))
	noted := err == nil && json.Unmarshal(text, &j.Note) == nil
	host, err := os.Hostname()
	if err != nil || noted && j.Host != host {
		return Job{}, false // of another host that has the folder, too
	}
	conn, err := j.Dial(ctx)
	if err == nil {
		conn.Close() //nolint:errcheck // nothing was said
		return j, noted
	}
	info, gone := os.Lstat(socket)
	if isRefused(err) && gone == nil && (noted || time.Since(info.ModTime()) > beginning) {
		remove(socket)
	}
	return Job{}, false
}
