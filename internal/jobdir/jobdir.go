package jobdir

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The environment of a job's processes.
const (
	JobVar = "WASMPOOL_JOB"     // a name by which they are found
	DirVar = "WASMPOOL_JOB_DIR" // the path of the job's folder
)

// Names of files.
const (
	startFile = "started"
	stopFile  = "stop"
	shellNote = "shell" // notes have the rank behind it
	spaceNote = "space"
	exitNote  = "exit"
)

// A Dir is the folder of a job, by its path.
type Dir string

// Current returns the folder of the job that this process is a rank of. found is false in
// a process that wasmpool launch did not start.
func Current() (dir Dir, found bool) {
	dir = Dir(os.Getenv(DirVar))
	return dir, dir != ""
}

// A Start is what the root says of itself when the ranks have found each other.
type Start struct {
	PID  int
	Rank int // of the launcher
	Host string

	// Patience is for how long the workers bear the root's silence, in whole
	// milliseconds; 0 is for ever.
	Patience time.Duration
}

const startFormat = "%d %d %s %d\n"

// WriteStart is called by the root.
func (d Dir) WriteStart(s Start) error {
	return d.write(startFile, fmt.Sprintf(startFormat, s.PID, s.Rank, s.Host, s.Patience.Milliseconds()))
}

// ReadStart returns what the root has said, if it has.
func (d Dir) ReadStart() (s Start, found bool) {
	text, err := os.ReadFile(d.path(startFile))
	if err != nil {
		return Start{}, false
	}
	var patience int64
	if _, err := fmt.Sscanf(string(text), startFormat, &s.PID, &s.Rank, &s.Host, &patience); err != nil {
		return Start{}, false
	}
	s.Patience = time.Duration(patience) * time.Millisecond
	return s, true
}

// WriteStop is called by launch when a signal is to end a job that has not begun, or whose
// root is on another host.
func (d Dir) WriteStop(s syscall.Signal) error {
	return d.write(stopFile, fmt.Sprintf("%d\n", int(s)))
}

// ReadStop returns the signal that is to end the job, if launch has got one.
func (d Dir) ReadStop() (s syscall.Signal, found bool) {
	n, found := d.number(stopFile)
	return syscall.Signal(n), found
}

// ReadShell returns the process id of the shell around a rank, if it has begun on a host
// that has the folder.
func (d Dir) ReadShell(rank int) (pid int, found bool) {
	return d.number(note(shellNote, rank))
}

// An Exit is how the program of a rank has ended.
type Exit struct {
	Rank int
	Code int
	At   time.Time // by the clock of the folder's host
}

// ReadExit returns how the program of a rank has ended, if it has.
func (d Dir) ReadExit(rank int) (e Exit, found bool) {
	name := note(exitNote, rank)
	code, found := d.number(name)
	info, err := os.Stat(d.path(name))
	if !found || err != nil {
		return Exit{}, false
	}
	return Exit{Rank: rank, Code: code, At: info.ModTime()}, true
}

// ReadExits returns how the programs of those ranks ended that have.
func (d Dir) ReadExits() []Exit {
	var list []Exit
	for _, rank := range d.ranks(exitNote) {
		if e, found := d.ReadExit(rank); found {
			list = append(list, e)
		}
	}
	return list
}

// ReadSpaces returns the names that the job has in Open MPI; those of other launchers are
// empty.
func (d Dir) ReadSpaces() []string {
	var list []string
	for _, rank := range d.ranks(spaceNote) {
		if text, err := os.ReadFile(d.path(note(spaceNote, rank))); err == nil {
			list = append(list, strings.TrimSpace(string(text)))
		}
	}
	return list
}

func note(name string, rank int) string { return name + "." + strconv.Itoa(rank) }

// ranks returns the ranks that have left a note.
func (d Dir) ranks(name string) []int {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil
	}
	var list []int
	for _, e := range entries {
		text, is := strings.CutPrefix(e.Name(), name+".")
		if rank, err := strconv.Atoi(text); is && err == nil { // else it is not whole
			list = append(list, rank)
		}
	}
	return list
}

// number reads a file that holds one.
func (d Dir) number(name string) (n int, found bool) {
	text, err := os.ReadFile(d.path(name))
	if err != nil {
		return 0, false
	}
	n, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return n, err == nil
}

// write makes a file, which has its name only when it is whole.
func (d Dir) write(name, text string) error {
	part := d.path(name + ".part")
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(part, d.path(name))
}

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }
