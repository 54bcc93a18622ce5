package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// A commit is what was measured.
type commit struct {
	Hash  string    `json:"hash"`
	Time  time.Time `json:"time"`
	Dirty bool      `json:"dirty,omitempty"` // files differed from the commit's
}

// currentCommit returns the commit of the source tree in the working folder. Results do not make
// the tree dirty, as each run leaves some.
func currentCommit(ctx context.Context) (commit, error) {
	head, err := git(ctx, "log", "-1", "--format=%H %cI")
	if err != nil {
		return commit{}, err
	}
	hash, when, _ := strings.Cut(strings.TrimSpace(head), " ")
	t, err := time.Parse(time.RFC3339, when)
	if err != nil {
		return commit{}, err
	}
	changed, err := git(ctx, "status", "--porcelain", "--", ".", ":(exclude)bench/results")
	return commit{Hash: hash, Time: t.UTC(), Dirty: changed != ""}, err
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), nil
}

// name returns the commit as files and the plot name it.
func (c commit) name() string {
	name := c.Hash[:min(len(c.Hash), 12)]
	if c.Dirty {
		name += "-dirty"
	}
	return name
}
