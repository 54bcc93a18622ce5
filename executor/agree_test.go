package executor

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// TestAgreed checks that each field of Config is compared between ranks, by its name, or is known to be no
// rank's but one's.
func TestAgreed(t *testing.T) {
	t.Parallel()
	grants := func(g host.Grants) map[string]host.Grants { return map[string]host.Grants{"m": g} }
	base := Config{Sandbox: host.Config{Grants: grants(host.Grants{Folders: map[string]string{"/a": "/here"}})}}
	for name, change := range map[string]func(*Config){
		"Confine":                     func(c *Config) { c.Confine = true },
		"LostAfter":                   func(c *Config) { c.LostAfter = time.Minute },
		"NoSignals":                   func(c *Config) { c.NoSignals = true },
		"Sandbox.MemoryLimit":         func(c *Config) { c.Sandbox.MemoryLimit = 1 << 30 },
		"Sandbox.Limits.Time":         func(c *Config) { c.Sandbox.Limits.Time = time.Hour },
		"Sandbox.Limits.Memory":       func(c *Config) { c.Sandbox.Limits.Memory = 1 << 20 },
		"Sandbox.Limits.Output":       func(c *Config) { c.Sandbox.Limits.Output = 1 << 20 },
		"Sandbox.Limits.Log":          func(c *Config) { c.Sandbox.Limits.Log = 1 << 20 },
		"Sandbox.Limits.Instructions": func(c *Config) { c.Sandbox.Limits.Instructions = 1 << 40 },
		"Sandbox.NoMeter":             func(c *Config) { c.Sandbox.NoMeter = true },
		"Sandbox.Isolation":           func(c *Config) { c.Sandbox.Isolation = host.IsolationFresh },
		"Sandbox.MaxCallsPerInstance": func(c *Config) { c.Sandbox.MaxCallsPerInstance = 1 },
		"Sandbox.Initializer":         func(c *Config) { c.Sandbox.Initializer = "init" },
		"Sandbox.InitArg":             func(c *Config) { c.Sandbox.InitArg = []byte("x") },
		"Sandbox.Grants: Folders": func(c *Config) {
			c.Sandbox.Grants = grants(host.Grants{Folders: map[string]string{"/b": "/here"}})
		},
		"Sandbox.Grants: Env":    func(c *Config) { addGrant(c, func(g *host.Grants) { g.Env = map[string]string{"A": "1"} }) },
		"Sandbox.Grants: Args":   func(c *Config) { addGrant(c, func(g *host.Grants) { g.Args = []string{"a"} }) },
		"Sandbox.Grants: Clock":  func(c *Config) { addGrant(c, func(g *host.Grants) { g.Clock = true }) },
		"Sandbox.Grants: Random": func(c *Config) { addGrant(c, func(g *host.Grants) { g.Random = true }) },
		"Sandbox.Grants: Output": func(c *Config) { addGrant(c, func(g *host.Grants) { g.Output = true }) },
	} {
		other := base
		change(&other)
		if got := differences(base, other); !slices.Equal(got, []string{name}) {
			t.Errorf("with another %s, %q differ", name, got)
		}
	}
	same := base
	same.Slots, same.RootSlots, same.HeldBytes, same.Sandbox.CacheDir = 7, 3, 1, "elsewhere"
	addGrant(&same, func(g *host.Grants) { g.Folders, g.Env = map[string]string{"/a": "/there"}, map[string]string{} })
	if got := differences(base, same); got != nil {
		t.Errorf("%q differ, which may", got)
	}

	compared := strings.Join(slices.Collect(maps.Keys(base.agreed())), " ")
	ofOneRank := []string{
		"Modules", "Ranks", "Slots", "RootSlots", "Sandbox", "QueueCalls", "QueueBytes", "ResultBytes", "HeldBytes",
		"Grace", "ReportAfter", "Memo", "VerifyMemo", "Speculate", "SpotCheck", "Shared", "SharedDir", "SharedBytes", "Logger", "CacheDir", "Limits", "KeepMemory", "Compiler",
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[host.Config](), reflect.TypeFor[host.Limits](), reflect.TypeFor[host.Grants]()} {
		for _, field := range reflect.VisibleFields(typ) {
			if !slices.Contains(ofOneRank, field.Name) && !strings.Contains(compared, field.Name) {
				t.Errorf("%v.%s is not compared: must all ranks have the same?", typ, field.Name)
			}
		}
	}
}

// addGrant changes the grants of module m.
func addGrant(c *Config, change func(*host.Grants)) {
	g := c.Sandbox.Grants["m"]
	change(&g)
	c.Sandbox.Grants = map[string]host.Grants{"m": g}
}

// differences returns the names of the settings in which two ranks do not agree.
func differences(a, b Config) []string {
	x, y := a.agreed(), b.agreed()
	var names []string
	for name := range x {
		if x[name] != y[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestDifferentConfig checks that the pool breaks where a worker was given another Config, with an
// error that names the fields, and not where it was given the same.
func TestDifferentConfig(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cfg := Config{Sandbox: host.Config{Initializer: "none", InitArg: []byte("the root's")}, Logger: slog.New(slog.DiscardHandler)}
	another := cfg
	another.Sandbox.InitArg, another.Sandbox.Limits.Time = nil, time.Second
	for _, tt := range []struct {
		worker Config
		want   string
	}{
		{another, "executor: Config.Sandbox.InitArg, Config.Sandbox.Limits.Time of rank 1 on node7 is not what the root has"},
		{cfg, ""},
	} {
		fabric := mem.New(2)
		ex := openRoot(t, fabric, cfg)
		frame, err := wire.Control(wire.TypeHello, wire.Hello{Host: "node7", Slots: 1, Agreed: tt.worker.withDefaults().agreed()})
		if err != nil {
			t.Fatal(err)
		}
		send(t, fabric.Endpoint(1), frame)
		if err := ex.WaitReady(ctx); err != nil && tt.want == "" {
			t.Error(err)
		}
		if err := ex.Shutdown(ctx); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("Shutdown = %v, want %q", err, tt.want)
		}
	}
}
