// Signing keys: both are shown, receivers accept both, rotation moves them up.
// The steps depend on one another, so this is one test on a user of its own.
import assert from "node:assert/strict";
import test from "node:test";
import { Receiver } from "@upstash/qstash";
import * as first from "qstash-2.7.0";
import * as last from "qstash-2.7.23";
import { oldClient } from "./old.mjs";
import { api, client, receiver, users } from "./support.mjs";

const user = users.rotate;
const qstash = client(user);

test("signatures verify with the current key, and after a rotation with the next", async (t) => {
  const sink = await receiver(t);
  const published = { current: user.currentSigningKey, next: user.nextSigningKey };
  const keysBefore = (await api(user, "GET", "/v2/keys")).json;
  assert.deepEqual({ current: keysBefore.current, next: keysBefore.next }, published);

  const old = new Receiver({ currentSigningKey: published.current, nextSigningKey: published.next, devMode: false });
  const deliver = async (body) => {
    const { messageId } = await qstash.publish({ url: `${sink.url}/hook?x=1`, body });
    const [arrival] = await sink.arrived(1, (a) => a.headers["upstash-message-id"] === messageId);
    return { signature: arrival.headers["upstash-signature"], body: arrival.body.toString(), url: `${sink.url}/hook?x=1` };
  };

  const first = await deliver("first");
  assert.ok(await old.verify(first));
  assert.ok(await old.verify(await deliver("")), "an empty body is signed too");
  await assert.rejects(old.verify({ ...first, body: "changed" }), { name: "SignatureError" });
  await assert.rejects(old.verify({ ...first, url: `${sink.url}/other` }), { name: "SignatureError" });
  await assert.rejects(old.verify({ ...first, signature: first.signature.slice(0, -2) + "AA" }), { name: "SignatureError" });
  const stranger = new Receiver({ currentSigningKey: "sig_a", nextSigningKey: "sig_b", devMode: false });
  await assert.rejects(stranger.verify(first), { name: "SignatureError" });

  const rotated = await api(user, "POST", "/v2/keys/rotate");
  assert.equal(rotated.status, 200);
  assert.equal(rotated.json.current, published.next);
  assert.match(rotated.json.next, /^sig_[1-9A-HJ-NP-Za-km-z]{28}$/);
  const keysAfter = (await api(user, "GET", "/v2/keys")).json;
  assert.deepEqual([keysAfter.current, keysAfter.next], [rotated.json.current, rotated.json.next]);

  const second = await deliver("second");
  assert.ok(await old.verify(second), "a receiver that was not updated accepts the next key");
  const onlyFirst = new Receiver({ currentSigningKey: published.current, nextSigningKey: published.current, devMode: false });
  await assert.rejects(onlyFirst.verify(second), { name: "SignatureError" });
});

// It ends whatever its user has pending, so it is here, where no other file's messages are.
for (const [version, library] of [["2.7.0", first], ["2.7.23", last]]) {
  test(`${version} cancels all messages`, async () => {
    const qstash = oldClient(library, user);
    await qstash.messages.deleteAll();
    for (let i = 0; i < 3; i++) await qstash.publish({ url: "https://example.com/later", delay: 600 });
    assert.equal(await qstash.messages.deleteAll(), 3);
    assert.equal(await qstash.messages.deleteAll(), 0);
  });
}
