package host
import ("os";"os/exec";"testing";"path/filepath";"github.com/wasmpool/wasmpool/wasmtasks")
func buildGuestTmp(t testing.TB, name string) *wasmtasks.Module {
	out := filepath.Join(os.TempDir(), "hosttest-"+name+".wasm")
	args := []string{"build","-trimpath","-ldflags=-s -w","-o",out}
	if name != "command" { args = append(args, "-buildmode=c-shared") }
	cmd := exec.Command("go", append(args, "./testdata/"+name)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1","GOARCH=wasm","CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil { t.Fatal(string(b)) }
	w, _ := os.ReadFile(out)
	m, err := wasmtasks.Load(name, w)
	if err != nil { t.Fatal(err) }
	return m
}
