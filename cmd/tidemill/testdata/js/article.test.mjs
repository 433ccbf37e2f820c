// The programs of article.mjs run with the newest client and with the oldest that has all
// they use: topics, callbacks and failure callbacks.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import test from "node:test";
import * as newest from "@upstash/qstash";
import * as oldest from "qstash-2.5";
import { programs } from "./article.mjs";
import { baseUrl, client, until, users } from "./support.mjs";

const user = users.publish;

// app serves routes(), and answers what they do not know with other(path, body).
async function app(t, routes, other) {
  const arrivals = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    arrivals.push({ path: request.url, headers: request.headers, body: body.toString() });
    const route = routes()[request.url];
    const answer = route
      ? await route(new Request(`http://app${request.url}`, { method: request.method, headers: request.headers, body }))
      : other(request.url, body.toString());
    response.writeHead(answer.status).end(await answer.text());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, arrivals };
}

for (const [version, library] of [["newest", newest], ["2.5.2", oldest]]) {
  test(`the article's programs, client ${version}`, async (t) => {
    const log = [];
    const alerts = [];
    const jobs = [];
    const broken = `broken-${version}`;
    let article = { routes: {} };
    const site = await app(t, () => article.routes, (path, body) =>
      path.endsWith("process-order") && JSON.parse(body).orderId === broken
        ? new Response("no such order", { status: 422 })
        : new Response("processed", { status: 200 }),
    );
    article = programs({
      ...library,
      env: {
        QSTASH_TOKEN: user.token,
        QSTASH_URL: baseUrl,
        QSTASH_CURRENT_SIGNING_KEY: user.currentSigningKey,
        QSTASH_NEXT_SIGNING_KEY: user.nextSigningKey,
        NEXT_PUBLIC_APP_URL: site.url,
        PARTNER_URL: `${site.url}/partner`,
      },
      db: { jobLog: { create: async ({ data }) => log.push(data) } },
      slack: { postMessage: async (message) => alerts.push(message) },
      handleJob: async (payload) => jobs.push(payload),
    });
    const at = (path) => site.arrivals.filter((a) => a.path === path);

    await t.test("an endpoint verifies what it gets", async () => {
      await article.qstash.publishJSON({ url: `${site.url}/api/qstash/process`, body: { n: 1 } });
      await until("a job", async () => jobs.length > 0);
      assert.deepEqual(jobs, [{ n: 1 }]);
      const forged = await fetch(`${site.url}/api/qstash/process`, { method: "POST", body: "{}" });
      assert.equal(forged.status, 401);
    });

    await t.test("the success handler", async () => {
      await article.publishWithCallback("good", 5);
      await until("a line in the log", async () => log.length > 0);
      const [order] = at("/api/qstash/process-order");
      assert.deepEqual(log, [
        { messageId: order.headers["upstash-message-id"], status: "completed", response: Buffer.from("processed").toString("base64") },
      ]);
      assert.equal(alerts.length, 0);
    });

    await t.test("the failure handler, and the dead letter queue", async () => {
      log.length = 0;
      await article.publishWithCallback(broken, 0);
      await until("an alert", async () => alerts.length > 0);
      const order = at("/api/qstash/process-order").find((a) => JSON.parse(a.body).orderId === broken);
      const messageId = order.headers["upstash-message-id"];
      assert.deepEqual(alerts, [{ channel: "#alerts", text: `QStash job failed permanently: ${messageId}` }]);
      const dead = log.find((line) => line.status === "dead-letter");
      assert.deepEqual(dead, { messageId, status: "dead-letter", error: Buffer.from("no such order").toString("base64") });

      const reviewed = (await article.reviewDeadLetterQueue()).find((m) => m.messageId === messageId);
      assert.match(reviewed.dlqId, /^\d+-\d+$/);
      assert.deepEqual(
        { ...reviewed, dlqId: "" },
        { dlqId: "", messageId, url: `${site.url}/api/qstash/process-order`, responseStatus: 422, responseBody: "no such order", maxRetries: 0 },
      );
      await article.retryDlqMessage(reviewed.dlqId);
      assert.ok(!(await article.reviewDeadLetterQueue()).some((m) => m.dlqId === reviewed.dlqId));
    });

    await t.test("a topic", async () => {
      const { topics } = client(user);
      await topics.delete("order-events");
      t.after(() => topics.delete("order-events"));
      await article.setupTopics();
      const answer = await article.publishOrderEvent("o-1", "paid");
      const paths = ["/api/qstash/update-inventory", "/api/qstash/send-notification", "/api/qstash/update-analytics", "/partner/webhook"];
      assert.deepEqual(answer.map((m) => m.url), paths.map((path) => site.url + path));
      await until("four arrivals", async () => paths.every((path) => at(path).length > 0));
      for (const [i, path] of paths.entries()) {
        const [arrival, ...more] = at(path);
        assert.equal(more.length, 0);
        assert.equal(arrival.headers["upstash-message-id"], answer[i].messageId);
        assert.equal(arrival.headers["upstash-topic-name"], "order-events");
        const { orderId, event, timestamp } = JSON.parse(arrival.body);
        assert.deepEqual([orderId, event, typeof timestamp], ["o-1", "paid", "number"]);
      }
    });
  });
}
