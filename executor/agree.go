package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// agreed returns a digest of each setting that must be the same on all ranks, by the name of its field: what
// calls give depends on it, or how safe they are. A worker's travel to the root with its first
// frame. The folders of a host that are granted may have other names on other nodes; and it is of
// no account to others how many slots a rank has, how much it keeps, or where.
func (c Config) agreed() map[string]string {
	s, l := c.Sandbox, c.Sandbox.Limits
	digests := map[string]string{
		"Confine":                     digestOf(c.Confine),
		"LostAfter":                   digestOf(c.LostAfter),
		"NoSignals":                   digestOf(c.NoSignals),
		"Sandbox.MemoryLimit":         digestOf(s.MemoryLimit),
		"Sandbox.Limits.Time":         digestOf(l.Time),
		"Sandbox.Limits.Memory":       digestOf(l.Memory),
		"Sandbox.Limits.Output":       digestOf(l.Output),
		"Sandbox.Limits.Log":          digestOf(l.Log),
		"Sandbox.Limits.Instructions": digestOf(l.Instructions),
		"Sandbox.NoMeter":             digestOf(s.NoMeter),
		"Sandbox.AllowLarge":          digestOf(s.AllowLarge),
		"Sandbox.StubImports":         digestOf(s.StubImports),
		"Sandbox.Isolation":           digestOf(s.Isolation),
		"Sandbox.MaxCallsPerInstance": digestOf(s.MaxCallsPerInstance),
		"Sandbox.Initializer":         digestOf(s.Initializer),
		"Sandbox.InitArg":             digestOf(string(s.InitArg)), // it may be long, and each byte would be spelt
	}
	for field, values := range c.grantsByField() {
		digests["Sandbox.Grants: "+field] = digestOf(fmt.Sprintf("%q", values))
	}
	return digests
}

// grantsByField returns what each field of the grants has for each module.
func (c Config) grantsByField() map[string]map[string]string {
	fields := map[string]map[string]string{}
	for module, g := range c.Sandbox.Grants {
		for field, value := range map[string]any{
			"Folders": slices.Sorted(maps.Keys(g.Folders)), "Env": g.Env, "Args": g.Args, "Keep": g.Keep, "ResultFile": g.ResultFile,
			"Clock": g.Clock, "Random": g.Random, "Output": g.Output,
		} {
			if fields[field] == nil {
				fields[field] = map[string]string{}
			}
			fields[field][module] = fmt.Sprintf("%q", value)
		}
	}
	return fields
}

// digestOf returns the beginning of the digest of a value, which may be secret.
func digestOf(value any) string {
	sum := sha256.Sum256(fmt.Append(nil, value))
	return hex.EncodeToString(sum[:8])
}
