// What others put into messages stays text, wherever it is shown.
import assert from "node:assert/strict";
import test from "node:test";
import { publish, receiver, until, users, visit, api } from "./support.mjs";

const token = users.hostile;
const attack = `"><img src=x onerror="owned=1"><script>owned=1</script><svg onload=owned=1>\${owned=1}{{owned=1}}`;
const line = `"><img src=x onerror=owned=1><script>owned=1</script>`; // for a header

async function untouched(page, where, text) {
  await page.getByText(text).first().waitFor({ state: "attached" });
  const found = await page.evaluate(() => [typeof owned, document.querySelectorAll("img[src=x], script:not([src]), svg[onload], iframe").length]);
  assert.deepEqual(found, ["undefined", 0], `the page was changed by what ${where} shows`);
}

test("bodies, headers, labels, addresses and answers are text", async (t) => {
  const sink = await receiver(t, () => ({ status: 500, headers: { "X-Answer": line }, body: attack }));
  const url = `${sink.url}/"><img%20src=x>?<script>owned=1</script>`;
  const { messageId } = await publish(token, encodeURI(url).replaceAll("%2520", "%20"), attack, {
    "Upstash-Retries": "0",
    "Upstash-Forward-X-Attack": line,
    "Upstash-Flow-Control-Key": "<svg onload=owned=1>",
    "Upstash-Flow-Control-Value": "parallelism=1",
  });
  const [letter] = await until("it fails", async () => {
    const { messages } = await api(token, `/v2/dlq?messageId=${messageId}`);
    return messages.length > 0 && messages;
  });
  const page = await visit(t, { path: "messages", token });
  await untouched(page, "the list", messageId);
  await page.goto(page.url().replace(/#.*/, `#/messages/${messageId}`));
  await page.getByText("Given up").waitFor();
  for (const more of await page.locator("details > summary").all()) await more.click();
  await untouched(page, "the message", "<script>owned=1</script>");
  await page.getByRole("button", { name: "Publish again" }).click();
  await untouched(page, "the dialog", "curl -X POST");
  await page.getByRole("button", { name: "Change it first" }).click();
  await page.getByRole("heading", { name: "Publish a message" }).waitFor();
  assert.equal(await page.getByLabel("Body", { exact: true }).inputValue(), attack);
  await untouched(page, "the form", "curl -X POST");
  await page.goto(page.url().replace(/#.*/, `#/dlq/${letter.dlqId}`));
  for (const more of await page.locator("details > summary").all()) await more.click();
  await untouched(page, "the dead letter", "<img src=x onerror");
  await page.goto(page.url().replace(/#.*/, `#/messages?label=${encodeURIComponent("<img src=x onerror=owned=1>")}`));
  await untouched(page, "a filter", "Label: <img");
  await page.goto(page.url().replace(/#.*/, `#/<img src=x onerror=owned=1>`));
  await untouched(page, "an address", "There is no such page");
});

test("a body that is no text is shown as bytes", async (t) => {
  const sink = await receiver(t);
  const { messageId } = await publish(token, sink.url, new Uint8Array([0xff, 0xfe, 0, 60]), { "Content-Type": "application/octet-stream" });
  await until("it is delivered", () => sink.arrivals.length > 0);
  const page = await visit(t, { path: `messages/${messageId}`, token });
  await page.getByText("00000000  ff fe 00 3c").waitFor();
});
