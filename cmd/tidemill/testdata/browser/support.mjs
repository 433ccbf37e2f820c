// What the suite's files share: a browser, pages that are watched, a receiver, the API.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after } from "node:test";
import { chromium } from "playwright-core";

export const baseUrl = process.env.TIDEMILL_TEST_URL;
const executablePath = process.env.TIDEMILL_TEST_CHROMIUM;
assert.ok(baseUrl && executablePath, "TestDashboard says where the server is, and the browser");

export const limit = 30_000; // ms; generous, nothing is measured by it

// The published development users: one for each file, so that files which run at the same time do
// not meet. What is set up and what is hostile share one: neither looks at what the other has.
export const users = {
  flow: "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
  looks: "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
  many: "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
  manage: "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
  hostile: "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
};

let browser;
const launch = async () => (browser ??= await chromium.launch({ executablePath }));
after(() => browser?.close());

// visit opens a page of the dashboard. When the test is over there must have been no error in its
// console, no request to another origin, and no breach of its policy; expected are texts of errors
// that the test provokes.
export async function visit(t, { at = baseUrl, path = "overview", token, expected = [], ...options } = {}) {
  const context = await (await launch()).newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(limit);
  const wrong = [];
  page.on("console", (m) => m.type() === "error" && wrong.push(m.text()));
  page.on("pageerror", (error) => wrong.push(error.stack));
  page.on("request", (r) => new URL(r.url()).origin !== new URL(at).origin && wrong.push(`a request to ${r.url()}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective}`)));
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong.filter((text) => !expected.some((e) => text.includes(e))), [], "what the browser complains about");
  });
  await page.goto(`${at}/ui/#/${path}`);
  if (token) await signIn(page, token);
  return page;
}

export async function signIn(page, token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

// api calls the server as a client would.
export async function api(token, path, options = {}) {
  const response = await fetch(baseUrl + path, { ...options, headers: { Authorization: `Bearer ${token}`, ...options.headers } });
  const text = await response.text();
  assert.ok(response.ok, `${options.method ?? "GET"} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

export const publish = (token, url, body, headers = {}) => api(token, `/v2/publish/${url}`, { method: "POST", body, headers });

// receiver answers what answer(request) returns, { status, headers, body }, or 200.
export async function receiver(t, answer = () => undefined) {
  const arrivals = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    arrivals.push({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
    const { status = 200, headers = {}, body = "" } = answer(request) ?? {};
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, arrivals };
}

// until polls for what no page shows.
export async function until(what, probe) {
  const deadline = Date.now() + limit;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

const axe = createRequire(import.meta.url).resolve("axe-core");

// accessible fails with what axe finds on a page as it is. It reads the page from an isolated
// world, where the page's policy does not hold.
export async function accessible(page, what) {
  const client = await page.context().newCDPSession(page);
  const { frameTree } = await client.send("Page.getFrameTree");
  const { executionContextId } = await client.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  const { readFile } = await import("node:fs/promises");
  const evaluate = (expression) => client.send("Runtime.evaluate", { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
  await evaluate(await readFile(axe, "utf8"));
  const { result, exceptionDetails } = await evaluate(`axe.run().then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target + " " + n.failureSummary).join("; ")))`);
  await client.detach();
  assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
  assert.deepEqual(result.value, [], `what axe finds on ${what}`);
}

export const shot = (page, name) => page.screenshot({ path: join(process.env.TIDEMILL_TEST_SHOTS, `${name}.png`) });
