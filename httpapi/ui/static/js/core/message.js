// What a message is for the pages: the form that publishes one, the request made of it, and the
// form made of a message that there is.
import { fromBase64, fromText, textOf } from "./bytes.js";

// emptyForm has every option of a publish; "" leaves the server's default.
export const emptyForm = {
  destination: "",
  queue: "",
  orderingKey: "",
  body: "",
  contentType: "application/json",
  method: "POST",
  headers: [],
  delay: "",
  notBefore: "",
  retries: "",
  retryDelay: "",
  timeout: "",
  callback: "",
  failureCallback: "",
  dedupId: "",
  dedupContent: false,
  flowKey: "",
  flowRate: "",
  flowPeriod: "",
  flowParallelism: "",
  flowMode: "fixed",
  labels: "",
  redact: "",
  cron: "",
  more: [],
};

// publishRequest is the request that publishes what a form says.
export function publishRequest(form) {
  const to = form.destination.trim();
  const queue = form.queue.trim();
  const path = queue ? `/v2/enqueue/${encodeURIComponent(queue)}/${to}` : `/v2/publish/${to}`;
  return { method: "POST", path, headers: headersOf(form), body: form.body };
}

function headersOf(form) {
  const flow = [
    form.flowRate && `rate=${form.flowRate}`,
    form.flowPeriod && `period=${form.flowPeriod}`,
    form.flowParallelism && `parallelism=${form.flowParallelism}`,
  ].filter(Boolean).join(", ");
  const options = {
    "Content-Type": form.contentType,
    "Upstash-Method": form.method === "POST" ? "" : form.method,
    "Upstash-Delay": form.delay,
    "Upstash-Not-Before": form.notBefore && String(Math.round(Number(form.notBefore) / 1000)),
    "Upstash-Retries": form.retries,
    "Upstash-Retry-Delay": form.retryDelay,
    "Upstash-Timeout": form.timeout,
    "Upstash-Callback": form.callback,
    "Upstash-Failure-Callback": form.failureCallback,
    "Upstash-Deduplication-Id": form.dedupId,
    "Upstash-Content-Based-Deduplication": form.dedupContent ? "true" : "",
    "Upstash-Flow-Control-Key": form.flowKey,
    "Upstash-Flow-Control-Value": form.flowKey && flow,
    "Tidemill-Flow-Control-Mode": form.flowKey && form.flowMode === "sliding" ? "sliding" : "",
    "Tidemill-Ordering-Key": form.orderingKey,
    "Upstash-Label": form.labels,
    "Upstash-Redact-Fields": form.redact,
    "Upstash-Cron": form.cron,
  };
  const out = {};
  for (const [name, value] of Object.entries(options)) if (String(value).trim()) out[name] = String(value).trim();
  for (const [name, value] of form.headers) if (name.trim()) out[`Upstash-Forward-${name.trim()}`] = value;
  for (const [name, value] of form.more) if (name.trim()) out[name.trim()] = value;
  return out;
}

// bodyOf returns the bytes of a message or dead letter, or of the message of an event: there
// bodies are base64 always.
export const bodyOf = (m) => (m.bodyBase64 ? fromBase64(m.bodyBase64) : fromText(m.body));
export const bodyOfEvent = (e) => fromBase64(e.body);
export const responseOf = (d) => (d.responseBodyBase64 ? fromBase64(d.responseBodyBase64) : fromText(d.responseBody));
export const responseOfEvent = (e) => fromBase64(e.responseBody);

// formOf makes a form of a message, so that it can be published again. undefined says that it
// cannot: its body is no text, or no longer kept.
export function formOf(m, bytes) {
  const body = textOf(bytes);
  if (body === undefined || m.bodyExpired) return undefined;
  const header = { ...m.header };
  const contentType = header["Content-Type"]?.[0] ?? "";
  delete header["Content-Type"];
  return {
    ...emptyForm,
    destination: m.topicName ?? m.url,
    queue: m.queueName ?? "",
    orderingKey: m.tidemill?.orderingKey ?? "",
    body,
    contentType,
    method: m.method ?? "POST",
    headers: Object.entries(header).map(([name, values]) => [name, values.join(", ")]),
    retries: m.maxRetries === undefined ? "" : String(m.maxRetries),
    retryDelay: m.retryDelayExpression ?? "",
    timeout: m.timeout ? `${m.timeout}ms` : "",
    callback: m.callback ?? "",
    failureCallback: m.failureCallback ?? "",
    flowKey: m.flowControlKey ?? "",
    flowRate: m.rate ? String(m.rate) : "",
    flowPeriod: m.rate && m.period ? `${m.period}s` : "",
    flowParallelism: m.parallelism ? String(m.parallelism) : "",
    flowMode: m.tidemill?.flowControlMode ?? "fixed",
    labels: labelsOf(m).join(","),
  };
}

// labelsOf: one label stands as label, several as labels.
export const labelsOf = (m) => [m.labels ?? m.label ?? []].flat();
