//go:build unix

package cachedir

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// mkdir makes a folder with exactly these permissions.
func mkdir(t *testing.T, mode os.FileMode, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// enterable returns a folder that others may enter.
func enterable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cachedir") //nolint:usetesting // which lies in one that is shut
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func symlink(t *testing.T, to, link string) string {
	t.Helper()
	if err := os.Symlink(to, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func TestMake(t *testing.T) {
	groups = "/dev/null" // nobody has a group of their own
	t.Cleanup(func() { groups = "/etc/group" })
	base := enterable(t)
	open := mkdir(t, 0o777, base, "open")
	group := mkdir(t, 0o775, base, "group")
	sticky := mkdir(t, 0o777|os.ModeSticky, base, "sticky")
	shut := mkdir(t, 0o700, base, "shut")
	good := mkdir(t, 0o755, base, "good")
	in := mkdir(t, 0o777, shut, "in") // nobody comes here
	for _, tt := range []struct{ name, dir, want string }{
		{"good", good, ""},
		{"made", filepath.Join(good, "a", "b"), ""},
		{"open to everybody", open, "everybody can write to " + open + ", and so have this user run what they like: chmod go-w " + open},
		{"open to others", mkdir(t, 0o757, base, "others"), "chmod o-w " + base + "/others"},
		{"open to its group", group, "its group can write to " + group + ", and so have this user run what they like: chmod g-w " + group},
		{"a parent is open", filepath.Join(open, "a", "b"), "chmod go-w " + open},
		{"in a sticky folder", filepath.Join(sticky, "a"), ""},
		{"a sticky folder", sticky, "chmod go-w " + sticky},
		{"behind one that is shut", filepath.Join(in, "a"), ""},
		{"through a link", symlink(t, good, filepath.Join(base, "link")), ""},
		{"through a link to an open one", symlink(t, open, filepath.Join(base, "toopen")) + "/a", "chmod go-w " + open},
		{"through a link in an open one", symlink(t, "../good", filepath.Join(open, "link")) + "/a", "chmod go-w " + open},
		{"a link out of one that is shut", symlink(t, "../../open", filepath.Join(in, "out")) + "/a", "chmod go-w " + open},
		{"a link to the root and back", symlink(t, "../../../../../../../../../../.."+good, filepath.Join(good, "far")), ""},
	} {
		err := Make(tt.dir)
		var unsafe *UnsafeError
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (!errors.As(err, &unsafe) || unsafe.Dir != tt.dir || !strings.HasSuffix(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want one that ends in %s", tt.name, err, tt.want)
		}
		if info, err := os.Stat(tt.dir); err != nil || !info.IsDir() {
			t.Errorf("%s: it was not made: %v", tt.name, err)
		}
	}
	if err := Make(filepath.Join(symlink(t, "loop", filepath.Join(base, "loop")), "a")); err == nil {
		t.Error("a link to itself is good")
	}
}

// A folder of another user is not used, nor a link of theirs.
func TestMakeForeign(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give a file away")
	}
	const nobody = 65534
	base := enterable(t)
	foreign := mkdir(t, 0o755, base, "foreign")
	link := symlink(t, mkdir(t, 0o755, base, "good"), filepath.Join(mkdir(t, 0o777|os.ModeSticky, base, "sticky"), "link"))
	for _, name := range []string{foreign, link} {
		if err := os.Lchown(name, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		want := name + " belongs to user 65534, who could have this user run what they like: name another folder with WASMPOOL_CACHE"
		if err := Make(filepath.Join(name, "a")); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want one that ends in %s", err, want)
		}
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !Own(file) || Own(link) || Own(foreign) {
		t.Errorf("own: a file %t, a link %t, another's folder %t", Own(file), Own(link), Own(foreign))
	}
	if err := os.Chmod(file, 0o660); err != nil || Own(file) {
		t.Errorf("a file that its group can write to is own, %v", err)
	}
}

// Where new files can be written to by their group, everybody has one of their own.
func TestOwnGroup(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	dir := mkdir(t, 0o775, enterable(t), "dir")
	groups = filepath.Join(t.TempDir(), "group")
	t.Cleanup(func() { groups = "/etc/group" })
	for line, good := range map[string]bool{
		fmt.Sprintf("%s:x:%s:\n", me.Username, me.Gid):                  true,
		fmt.Sprintf("x:x:12345:\n%s:x:%s:%[1]s\n", me.Username, me.Gid): true,
		fmt.Sprintf("%s:x:%s:eve\n", me.Username, me.Gid):               false,
		fmt.Sprintf("staff:x:%s:\n", me.Gid):                            false,
		fmt.Sprintf("%s:x:1%s:\n", me.Username, me.Gid):                 false,
		"": false,
	} {
		if err := os.WriteFile(groups, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Make(dir); (err == nil) != good {
			t.Errorf("with the groups %q: %v", line, err)
		}
	}
}

func TestDefault(t *testing.T) {
	t.Setenv(Env, "/some/where")
	if got := Default("build"); got != "/some/where/build" {
		t.Errorf("got %s", got)
	}
	t.Setenv(Env, "")
	t.Setenv("XDG_CACHE_HOME", "/else")
	t.Setenv("HOME", "/home/some")
	if got := Default("build"); !strings.HasSuffix(got, "/wasmpool/build") {
		t.Errorf("got %s", got)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if got := Default("build"); got != "" {
		t.Errorf("got %s", got)
	}
}

func BenchmarkMake(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		if err := Make(dir); err != nil {
			b.Fatal(err)
		}
	}
}
