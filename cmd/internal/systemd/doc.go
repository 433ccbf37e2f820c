// Package systemd is the server's side of its service manager: it tells it how the server
// is (sd_notify), takes the sockets that it holds for the server (socket activation), and
// carries the unit files that make it do both.
//
//	n := systemd.FromEnv()               // nil outside of systemd: every method does nothing then
//	n.Recovering("replaying the log", 1<<30, 4<<30)
//	n.Ready("listening on :8080")
//	go n.Watch(ctx, engine.Ping, log)    // WATCHDOG=1 as long as the engine answers
//	n.Stopping("finishing what is in flight")
//
// Nothing here needs systemd to run: the protocol is a datagram to a socket whose name is
// in the environment, and descriptors that were open before the process began.
package systemd
