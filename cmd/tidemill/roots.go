package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// loadRoots returns the system's certificate authorities and those in the PEM file
// at path (destinations.ca-file); nil, which means the system's, if path is empty. A
// block that is no certificate is an error: one that is skipped shows when the first
// message to that destination fails.
func loadRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("destinations.ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("destinations.ca-file: the system's certificate authorities: %w", err)
	}
	n, want := 0, bytes.Count(text, []byte("-----BEGIN "))
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		n++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("destinations.ca-file %s: block %d is a %s, want certificates only", path, n, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("destinations.ca-file %s: block %d: %w", path, n, err)
		}
		pool.AddCert(cert)
	}
	if n == 0 || n != want { // Decode passes over what is not well formed
		return nil, fmt.Errorf("destinations.ca-file %s: %d of %d blocks can be read, want certificates in PEM form", path, n, want)
	}
	return pool, nil
}
