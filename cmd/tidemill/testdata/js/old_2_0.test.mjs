// @upstash/qstash 2.0.0: endpoints and schedules as JSON, and an answer of JSON to every call
// (QSTASH.md §12.2).
import assert from "node:assert/strict";
import test from "node:test";
import * as library from "qstash-2.0";
import { deduplicates, delivers, dies, fansOut, oldClient, rejected, remembers, reports, schedules, waits } from "./old.mjs";
import { users } from "./support.mjs";

const user = users.dlq;
const to = (destination) => ({ destination });

// Like 0.3.6 the release adds no prefix.
test("2.0.0 delivers what it publishes, signed", (t) =>
  delivers(t, library, user, to, (h) => Object.fromEntries(Object.entries(h).map(([k, v]) => [`Upstash-Forward-${k}`, v]))));
test("2.0.0 deduplicates", (t) => deduplicates(t, library, user, to));
test("2.0.0 gets callbacks", (t) => reports(t, library, user, to, { failure: false }));
test("2.0.0 gets and cancels messages", () => waits(library, user, to));
test("2.0.0 changes topics and publishes to them", (t) => fansOut(t, library, user, "js-old-2-0", to));
test("2.0.0 reads events", (t) => remembers(t, library, user, to, (client, cursor) => client.events({ cursor })));
test("2.0.0 makes, reads and deletes schedules", () => schedules(library, user));

test("2.0.0 lists dead letters as a bare array, and deletes them", async (t) => {
  const qstash = oldClient(library, user);
  const letter = await dies(t, library, user, to, (client) => client.dlq.listMessages());
  assert.ok((await qstash.dlq.delete(letter.dlqId)) instanceof Object); // it reads every answer as JSON
  assert.ok(!(await qstash.dlq.listMessages()).some((m) => m.dlqId === letter.dlqId));
  await rejected(library, qstash.dlq.delete(letter.dlqId), /not found/);
});
