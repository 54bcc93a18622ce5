//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// An input is the shared input of a job's calls. Each 8 bytes of it are their place and the job's seed,
// so that no job finds what another has left in a node's store.
type input struct {
	blob *executor.Blob
	seed uint64
	file string
}

// share makes the shared input of the job, nil for none. The caller removes its file.
func (j *job) share(ctx context.Context, ex *executor.Executor) (*input, error) {
	if j.Shared == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	file, err := os.CreateTemp("", "input")
	if err != nil {
		return nil, err
	}
	in := &input{seed: rand.Uint64(), file: file.Name()}
	if err = errors.Join(in.write(file, j.Shared), file.Close()); err == nil {
		in.blob, err = ex.Share(ctx, executor.FromFile(in.file))
	}
	return in, err
}

func (in *input) write(file *os.File, mib int) error {
	buf := make([]byte, 1<<20)
	for i := range mib {
		for at := 0; at < len(buf); at += 8 {
			binary.LittleEndian.PutUint64(buf[at:], uint64(i<<20+at)+in.seed)
		}
		if _, err := file.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

func (in *input) remove() {
	if in != nil {
		os.Remove(in.file) //nolint:errcheck // the driver removes the folder
	}
}

const (
	// readLen is how many bytes of the shared input a call returns, behind its number.
	readLen = 4096

	// scatter is what the guest multiplies a call's number with for the place where it reads.
	scatter = 0x9e3779b97f4a7c15
)

// right reports whether a short call's result is that of the call with that number.
func (in *input) right(got []byte, id uint64) bool {
	want := binary.LittleEndian.AppendUint64(nil, id)
	if in != nil {
		at := id * scatter % uint64(in.blob.Len()-readLen) &^ 7
		for end := at + readLen; at < end; at += 8 {
			want = binary.LittleEndian.AppendUint64(want, at+in.seed)
		}
	}
	return bytes.Equal(got, want)
}

// killWhile kills a worker at a random moment while the shared input travels: the giver, which fetches it for
// its node, or one that waits for it.
func (j *job) killWhile(ctx context.Context, ex *executor.Executor, workers []int, in *input) error {
	from := rand.Uint64N(uint64(in.blob.Len()) * 9 / 10)
	for quiet := 0; ctx.Err() == nil && quiet < 1000; time.Sleep(time.Millisecond) {
		st, err := ex.Stats(ctx)
		if err != nil {
			return err
		}
		if st.Shared <= from {
			continue
		}
		at := slices.IndexFunc(workers, fetches)
		if at < 0 {
			quiet++
			continue
		}
		if j.KillWhile != "giver" {
			if at = slices.IndexFunc(workers, func(pid int) bool { return !fetches(pid) }); at < 0 {
				return errors.New("no worker waits for another one that fetches")
			}
		}
		return syscall.Kill(workers[at], syscall.SIGKILL)
	}
	return errors.New("it was too late to kill a worker")
}

// fetches reports whether a process writes to a file of the node's store.
func fetches(pid int) bool {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(links, func(link string) bool {
		name, err := os.Readlink(link)
		return err == nil && filepath.Base(filepath.Dir(name)) == storeName && strings.HasSuffix(name, ".tmp")
	})
}
