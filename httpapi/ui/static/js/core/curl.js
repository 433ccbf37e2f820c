// The curl command that does what a button does. The token is left to a variable, so that a
// command can be shown and shared.
import { addressOf } from "./api.js";

export function curlOf(request) {
  const method = request.method ?? "GET";
  const parts = [method === "GET" ? "curl" : `curl -X ${method}`];
  parts.push(quote(addressOf(request)));
  parts.push('-H "Authorization: Bearer $QSTASH_TOKEN"');
  for (const [name, value] of Object.entries(request.headers ?? {})) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (request.body !== undefined && request.body !== "") parts.push(`--data-binary ${quote(request.body)}`);
  return parts.join(" \\\n  ");
}

// quote makes one word of a POSIX shell of any text.
export const quote = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;
