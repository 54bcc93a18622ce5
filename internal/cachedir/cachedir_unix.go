//go:build unix

package cachedir

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	groupWrites  = 0o020
	othersWrite  = 0o002
	othersEnter  = 0o011 // the group, too
	mostSymlinks = 40
)

// whyUnsafe says why others may write to a folder, or nothing.
func whyUnsafe(dir string) string {
	w := walk{rest: split(dir)}
	why := w.enter("/")
	for why == "" && len(w.rest) > 0 {
		next := filepath.Join(w.at, w.rest[0])
		w.rest = w.rest[1:]
		why = w.enter(next)
	}
	return why
}

// A walk follows a path as the system does, link by link.
type walk struct {
	at    string   // the folder that was entered last
	rest  []string // of the path
	shut  string   // a folder that nobody else may enter, so that what is in it does not matter
	links int
}

// enter goes on to a folder or link, unless others may change it.
func (w *walk) enter(name string) string {
	info, err := os.Lstat(name)
	if err != nil {
		return err.Error()
	}
	if w.shut == "" || !strings.HasPrefix(name, w.shut+"/") {
		if why := w.look(name, info); why != "" {
			return why
		}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return w.follow(name)
	}
	w.at = name
	return ""
}

func (w *walk) follow(link string) string {
	target, err := os.Readlink(link)
	if w.links++; err != nil || w.links > mostSymlinks {
		return fmt.Sprintf("the symbolic link %s leads nowhere", link)
	}
	if filepath.IsAbs(target) {
		w.at = "/"
	}
	w.rest = append(split(target), w.rest...)
	return ""
}

// look says why others may change a folder or link, or nothing.
func (w *walk) look(name string, info fs.FileInfo) string {
	if !mine(info) {
		return foreign(name, info)
	}
	if !info.IsDir() {
		return ""
	}
	if info.Mode()&othersEnter == 0 {
		w.shut = name
	}
	return writers(name, info, len(w.rest) == 0)
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// writers says which other users may change the content of a folder, or returns nothing.
// last is true for the cache folder itself. The content of any other folder does not matter
// if the folder is sticky: there a file belongs to the user that made it.
func writers(name string, info fs.FileInfo, last bool) string {
	mode := info.Mode()
	if mode&fs.ModeSticky != 0 && !last {
		return ""
	}
	who, bits := "", ""
	switch group, others := mode&groupWrites != 0 && !ownGroup(info), mode&othersWrite != 0; {
	case group && others:
		who, bits = "everybody", "go"
	case others:
		who, bits = "others", "o"
	case group:
		who, bits = "its group", "g"
	default:
		return ""
	}
	return fmt.Sprintf("%s can write to %s, and so have this user run what they like: chmod %s-w %s", who, name, bits, name)
}

func foreign(name string, info fs.FileInfo) string {
	return fmt.Sprintf("%s belongs to user %d, who could have this user run what they like: name another folder with %s", name, info.Sys().(*syscall.Stat_t).Uid, Env)
}

// mine reports whether a file belongs to this user, or to root.
func mine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}

func own(info fs.FileInfo) bool {
	return mine(info) && info.Mode()&(groupWrites|othersWrite) == 0
}

// groups is where the members of groups are found.
var groups = "/etc/group"

// ownGroup reports whether a file belongs to a group that is named as this user and has
// no other members, as is the habit where new files can be written to by their group.
func ownGroup(info fs.FileInfo) bool {
	me, err := user.Current()
	gid := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid))
	if err != nil || me.Gid != gid {
		return false
	}
	file, err := os.Open(groups)
	if err != nil {
		return false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":") // name, password, number, members
		if len(fields) == 4 && fields[2] == gid {
			return fields[0] == me.Username && (fields[3] == "" || fields[3] == me.Username)
		}
	}
	return false
}
