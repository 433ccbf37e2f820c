package main

import "log/slog"

// idleConns is how many connections to destinations are kept, if descriptors allow.
const idleConns = 2048

// fitDescriptors gives deliveries their share of the process's file descriptors, so
// that the log, the index and the API find theirs (P35): attempts in flight take at
// most half, since one that looks a name up has two sockets open at a time, and kept
// connections an eighth. A limit of 4,096 is enough for the defaults.
func fitDescriptors(cfg *config, limit int, log *slog.Logger) (idle int) {
	if share := max(1, limit/4); cfg.Parallelism > share {
		log.Warn("delivery.parallelism is lowered: the limit of open files is too low for it (raise it with ulimit -n, or LimitNOFILE)",
			"configured", cfg.Parallelism, "parallelism", share, "open_files", limit)
		cfg.Parallelism = share
	}
	return min(idleConns, max(1, limit/8))
}
