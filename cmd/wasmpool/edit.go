package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// An edit makes a file hold some of its lines, or others in their place. The caller goes through
// the lines in order. What stays as it is at the beginning is not written again. Otherwise the new
// file takes the place of the old one when it is on the disk, so that at any time one is whole.
type edit struct {
	name string // of the file, no symbolic link
	old  *os.File
	at   int64 // so much of the old file stays as it is

	next     *outFile // the new file, when there must be one
	gone     *outFile // lines that were set aside, behind those of earlier edits
	goneSize int64    // of those
}

// keep keeps a line.
func (e *edit) keep(line []byte) error {
	if e.next == nil {
		e.at += int64(len(line))
		return nil
	}
	return e.next.write(line)
}

// drop leaves a line out.
func (e *edit) drop([]byte) error { return e.begin() }

// replace writes another line in place of one.
func (e *edit) replace(with []byte) error {
	if err := e.begin(); err != nil {
		return err
	}
	return e.next.write(with)
}

// setAside leaves a line out, and adds it to a file beside.
func (e *edit) setAside(line []byte) error {
	if e.gone == nil {
		gone, err := openOutFile(e.name+goneSuffix, os.O_APPEND)
		if err != nil {
			return fmt.Errorf("--resume: moving results whose inputs are gone: %w", err)
		}
		e.gone = gone
		if e.goneSize, err = gone.file.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		if isCut(e.name+goneSuffix, e.goneSize) { // an edit was killed as it wrote
			line = append([]byte("\n"), line...)
		}
	}
	return errors.Join(e.gone.write(line), e.begin())
}

// isCut reports whether a file of so many bytes ends within a line.
func isCut(name string, size int64) bool {
	file, err := os.Open(name)
	if err != nil || size == 0 {
		return false
	}
	defer file.Close()
	var last [1]byte
	_, err = file.ReadAt(last[:], size-1)
	return err == nil && last[0] != '\n'
}

// begin begins the new file, with what stays of the old one.
func (e *edit) begin() error {
	if e.next != nil {
		return nil
	}
	next, err := openOutFile(e.name+nextSuffix, os.O_TRUNC)
	if err != nil {
		return err
	}
	e.next = next
	_, err = io.Copy(next.file, io.NewSectionReader(e.old, 0, e.at))
	return err
}

// finish puts the new file in its place.
func (e *edit) finish() error {
	info, err := e.old.Stat()
	if err != nil {
		return err
	}
	if e.next == nil {
		if info.Size() > e.at {
			return os.Truncate(e.name, e.at)
		}
		return nil
	}
	if e.gone != nil {
		err = e.gone.flush()
	}
	if err = errors.Join(err, e.next.file.Chmod(info.Mode().Perm()), e.next.flush()); err != nil {
		e.abandon()
		return err
	}
	err = os.Rename(e.name+nextSuffix, e.name)
	syncFolder(filepath.Dir(e.name))
	e.close()
	return err
}

// abandon leaves the old file as it is.
func (e *edit) abandon() {
	if e.gone != nil {
		e.gone.file.Truncate(e.goneSize) //nolint:errcheck // what is there twice does no harm
		if e.goneSize == 0 {
			os.Remove(e.name + goneSuffix) //nolint:errcheck // likewise
		}
	}
	if e.next != nil {
		os.Remove(e.name + nextSuffix) //nolint:errcheck // the next edit overwrites it
	}
	e.close()
}

func (e *edit) close() {
	for _, f := range []*outFile{e.next, e.gone} {
		if f != nil {
			f.file.Close() //nolint:errcheck // it is on the disk, or of no use
		}
	}
}

// An outFile is a file that is written through a buffer.
type outFile struct {
	file *os.File
	buf  *bufio.Writer
}

func openOutFile(name string, how int) (*outFile, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|how, 0o666)
	if err != nil {
		return nil, err
	}
	return &outFile{file, bufio.NewWriterSize(file, 256<<10)}, nil
}

func (f *outFile) write(line []byte) error {
	_, err := f.buf.Write(line)
	return err
}

// flush has what was written be on the disk.
func (f *outFile) flush() error { return errors.Join(f.buf.Flush(), f.file.Sync()) }

// syncFolder has a new name in a folder be on the disk, where a system can do that.
func syncFolder(name string) {
	if folder, err := os.Open(name); err == nil {
		defer folder.Close()
		folder.Sync() //nolint:errcheck // the old name would lead to the old file, which is whole
	}
}
