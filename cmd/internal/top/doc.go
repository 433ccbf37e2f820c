// Package top looks at a running server once a second and shows what it sees: rates, hosts, queues
// and flow-control keys, in a terminal or as one plain table.
//
// It is in three steps, each a plain function of what the one before it returned:
//
//	Reader.Read   asks the admin listener and the API for a Snapshot
//	between       makes rates of two snapshots
//	page          lays out lines for a width and a height
//
// Model is the live view around them, for bubbletea. What a server did not tell is left out of the
// page, and why is one of its lines: a token that may only see part of it shows that part.
package top
