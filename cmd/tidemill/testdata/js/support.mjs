// What the suite's files share: the server's address, clients, and a receiver
// that records what arrives.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { Client } from "@upstash/qstash";

export const baseUrl = process.env.TIDEMILL_TEST_URL;
assert.ok(baseUrl, "TIDEMILL_TEST_URL names the server; TestJSClient sets it");

// The published development users that the suite uses, one per kind of test, so
// that files which run at the same time do not meet (QSTASH.md §1.5).
export const users = {
  publish: {
    token: "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
    currentSigningKey: "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    nextSigningKey: "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
  },
  dlq: {
    token: "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
    currentSigningKey: "sig_7GVPjvuwsfqF65iC8fSrs1dfYruM",
    nextSigningKey: "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua",
  },
  schedules: {
    token: "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
    currentSigningKey: "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
    nextSigningKey: "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
  },
  rotate: {
    token: "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
    currentSigningKey: "sig_5T8FcSsynBjn9mMLBsXhpacRovJf",
    nextSigningKey: "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
  },
};

// devMode false: the files that test discovery switch it on themselves. The
// client's own retries are off, so that a dropped connection is seen.
export const client = (user) => new Client({ baseUrl, token: user.token, devMode: false, retry: false });

// api calls what the client has no method for.
export async function api(user, method, path, json) {
  const response = await fetch(baseUrl + path, {
    method,
    headers: { Authorization: `Bearer ${user.token}` },
    body: json && JSON.stringify(json),
  });
  return { status: response.status, json: await response.json() };
}

const arrivalTimeout = 20_000; // ms; generous, nothing is measured here

// receiver starts an HTTP server on a free port. answer(arrival, n) decides about
// the n-th request, counted from 1, and returns { status, headers, body } or
// nothing for 200. The server closes with the test.
export async function receiver(t, answer = () => undefined) {
  const arrivals = [];
  const waiting = new Set();
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const arrival = {
      at: Date.now(),
      method: request.method,
      path: request.url,
      headers: request.headers,
      body: Buffer.concat(chunks),
    };
    arrivals.push(arrival);
    const { status = 200, headers = {}, body = "" } = answer(arrival, arrivals.length) ?? {};
    response.writeHead(status, headers).end(body);
    for (const check of waiting) check();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (closed) => {
    server.closeAllConnections();
    server.close(closed);
  };
  t.after(() => close());
  const url = `http://127.0.0.1:${server.address().port}`;

  // arrived resolves to the first n arrivals that match.
  const arrived = (n = 1, match = () => true) =>
    new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer);
        waiting.delete(check);
        settle(value);
      };
      const check = () => {
        const found = arrivals.filter(match);
        if (found.length >= n) done(resolve, found.slice(0, n));
      };
      const timer = setTimeout(
        () => done(reject, new Error(`${arrivals.filter(match).length} of ${n} requests arrived in ${arrivalTimeout} ms`)),
        arrivalTimeout,
      );
      waiting.add(check);
      check();
    });
  return { url, arrivals, arrived, close };
}

// until polls for what no callback announces.
export async function until(what, probe) {
  const deadline = Date.now() + arrivalTimeout;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${arrivalTimeout} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// refused asserts that the client throws a QstashError with this status.
export async function refused(promise, status, text = /./) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, "QstashError");
    assert.equal(error.status, status);
    assert.match(JSON.parse(error.message).error, text);
    return true;
  });
}
