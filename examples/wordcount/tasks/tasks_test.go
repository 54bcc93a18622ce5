package main

import (
	"testing"

	"github.com/wasmpool/wasmpool/sdk"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   `{"bytes":0,"lines":0,"words":0,"distinct":0,"counts":{}}`,
		"so, so: and\nSo on": `{"bytes":17,"lines":1,"words":5,"distinct":3,"counts":{"and":1,"on":1,"so":3}}`,
	} {
		got, err := sdk.Trial{Arg: []byte(text)}.Run(count)
		if string(got) != want || err != nil {
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
}
