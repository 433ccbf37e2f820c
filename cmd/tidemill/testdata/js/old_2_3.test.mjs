// @upstash/qstash 2.3.0: endpoints and schedules under paths of their own, prefixes added,
// failure callbacks, the dead letter queue in pages (QSTASH.md §12.2).
import assert from "node:assert/strict";
import test from "node:test";
import * as library from "qstash-2.3";
import { deduplicates, delivers, dies, fansOut, oldClient, rejected, remembers, reports, schedules, waits } from "./old.mjs";
import { users } from "./support.mjs";

const user = users.schedules;
const qstash = oldClient(library, user);
const to = (url) => ({ url });
const letters = async (client) => (await client.dlq.listMessages()).messages;

test("2.3.0 delivers what it publishes, signed", (t) => delivers(t, library, user, to, (h) => h));
test("2.3.0 deduplicates", (t) => deduplicates(t, library, user, to));
test("2.3.0 gets callbacks and failure callbacks", (t) => reports(t, library, user, to, { failure: true }));
test("2.3.0 gets and cancels messages", () => waits(library, user, to));
test("2.3.0 changes topics and publishes to them", (t) => fansOut(t, library, user, "js-old-2-3", (topic) => ({ topic })));
test("2.3.0 reads events", (t) => remembers(t, library, user, to, (client, cursor) => client.events({ cursor })));
test("2.3.0 makes, reads and deletes schedules", () => schedules(library, user));

test("2.3.0 lists and deletes dead letters", async (t) => {
  const letter = await dies(t, library, user, to, letters);
  assert.equal(await qstash.dlq.delete(letter.dlqId), undefined);
  assert.ok(!(await letters(qstash)).some((m) => m.dlqId === letter.dlqId));
  await rejected(library, qstash.dlq.delete(letter.dlqId), /not found/);
});
