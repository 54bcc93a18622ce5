package main

import "github.com/wasmpool/wasmpool/monitor"

// openSocket makes the job's socket, for wasmpool status, kill and drain. A job goes on without it. Nobody watches the pool until a
// request needs that.
func (v *view) openSocket() *monitor.Socket {
	socket, err := monitor.OpenSocket(monitor.SocketConfig{
		Watch: v.watch, Brief: v.standing.brief, End: v.end, Command: append([]string{"wasmpool"}, v.app.args...),
	})
	if err != nil {
		v.log.Debug("wasmpool status will not find this job", "error", err)
	}
	return socket
}
