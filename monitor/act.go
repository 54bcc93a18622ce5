package monitor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// kill kills the calls that a [Kill] names.
func (m *Monitor) kill(ctx context.Context, request []byte) (any, error) {
	var k Kill
	if err := decode(request, &k); err != nil {
		return nil, err
	}
	n, err := m.Kill(ctx, k)
	return Killed{n}, err
}

// Kill kills calls, and returns how many there were. It waits for the loop, a few microseconds as a rule, or until ctx ends.
func (m *Monitor) Kill(ctx context.Context, k Kill) (int, error) {
	reason := cmp.Or(k.Reason, "killed from the job's page")
	switch {
	case k.Call != 0 && k.Task == "" && k.Tag == "":
		found, err := m.pool.KillCall(ctx, k.Call, reason)
		if found {
			return 1, err
		}
		return 0, err
	case k.Call == 0 && k.Task != "" && k.Tag == "":
		n, err := m.pool.KillTask(ctx, k.Task, reason)
		if err != nil {
			err = fmt.Errorf("%w: %w", errRequest, err)
		}
		return n, err
	case k.Call == 0 && k.Task == "" && k.Tag != "":
		return m.pool.KillTag(ctx, k.Tag, reason)
	}
	return 0, fmt.Errorf("monitor: %w: want one of call, task and tag", errRequest)
}

// KillAll has the program begin no call any more, and kills those that run. It returns how many there were, or an error where the program cannot
// drain, see [Config]. It waits for the loop, a few microseconds as a rule, or until ctx ends.
func (m *Monitor) KillAll(ctx context.Context, reason string) (int, error) {
	if !m.Drain(reason) {
		return 0, errNoDrain
	}
	return m.pool.KillAll(ctx, cmp.Or(reason, "the job was ended"))
}

// errNoDrain is the error of programs without [Config].Drain.
var errNoDrain = fmt.Errorf("monitor: %w: this program cannot drain", errRequest)

// drain does what a [Drain] asks for.
func (m *Monitor) drain(_ context.Context, request []byte) (any, error) {
	var d Drain
	if err := decode(request, &d); err != nil {
		return nil, err
	}
	if !m.Drain(d.Reason) {
		return nil, errNoDrain
	}
	return struct{}{}, nil
}

// decode reads a request, which must be one value without names that it does not have.
func decode(request []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(request))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = fmt.Errorf("something follows")
	}
	if err != nil && err != io.EOF { //nolint:errorlint // Decode returns it as it is for no request at all
		return fmt.Errorf("monitor: %w: %w", errRequest, err)
	}
	return nil
}
