// Bodies: bytes that may be JSON, text or neither.

// fromBase64 is what the API has for the bodies of events.
export function fromBase64(text = "") {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

export const fromText = (text = "") => new TextEncoder().encode(text);

// textOf returns the text of bytes, or undefined when they are none.
export function textOf(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[\u0000-\u0008\u000e-\u001a]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

// prettyOf returns JSON with indents, or undefined when text is none. The text is laid out anew and
// not made anew: a number with many digits, or a name that is there twice, stays what it was.
export function prettyOf(text) {
  if (text === undefined || !/^\s*[[{]/.test(text)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return layOut(text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g));
}

function layOut(tokens) {
  const out = [];
  let depth = 0;
  const line = () => out.push("\n", "  ".repeat(depth));
  tokens.forEach((token, i) => {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    const empty = closes && (tokens[i - 1] === "{" || tokens[i - 1] === "[");
    if (closes) depth--;
    if (closes && !empty) line();
    out.push(token === ":" ? ": " : token);
    if (opens) depth++;
    const next = tokens[i + 1];
    if (token === "," || (opens && next !== "}" && next !== "]")) line();
  });
  return out.join("");
}

// hexOf is a dump of sixteen bytes a line: offset, bytes, and what of them is ASCII.
export function hexOf(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((b) => b.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}
