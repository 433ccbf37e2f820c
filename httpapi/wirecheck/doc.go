// Package wirecheck holds what a server says on the wire against its OpenAPI document.
// It is for tests: nothing of it, and nothing that it imports, is in the binary.
//
// A Recorder wraps the listener of a server under test, or stands as a proxy before
// one that is another process, and keeps the bytes of every connection. Afterwards they are cut into
// exchanges, which Document.Check compares with the document: every answer; and what
// was asked, where the answer was a success. Requests that are refused may look as they
// like; where the bytes before an answer are no request at all, the answer must at
// least be an error in the one form that errors have.
//
// The document describes objects that may grow; the check wants them complete: a member
// of an answer that no schema names is a complaint.
package wirecheck
