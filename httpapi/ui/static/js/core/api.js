// The client of the public API. A request is plain data, { method, path, query, headers, body },
// so that what is sent and the curl command that is shown for it are made of the same thing.
import { session, signOut } from "./session.js";

// base is the address of the API: the folder that the dashboard's own is in, whatever path a
// proxy has put before it.
export const base = new URL("../", document.baseURI.replace(/[?#].*$/, ""));

// ApiError is an answer other than 2xx; status 0 is a server that cannot be reached.
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

// addressOf returns the URL of a request. path is appended as it is, since that of a publish
// holds a whole URL.
export function addressOf({ path, query }) {
  const text = new URLSearchParams(pairs(query)).toString();
  return base.href.replace(/\/$/, "") + path + (text ? "?" + text : "");
}

// pairs flattens { name: value or list } and leaves out what is empty.
function pairs(query = {}) {
  return Object.entries(query).flatMap(([name, value]) =>
    [value].flat().filter((v) => v !== undefined && v !== null && v !== "").map((v) => [name, String(v)]),
  );
}

// send makes a request and returns the JSON of its answer. It throws an ApiError, or an
// AbortError when signal ends it.
export async function send(request, signal) {
  const response = await open(request, signal);
  const text = await response.text();
  return text ? JSON.parse(text) : {};
}

// open makes a request and returns the answer before its body was read, if it is 2xx.
export async function open(request, signal, token = session.get().token) {
  let response;
  const headers = headersOf({ ...request.headers, Authorization: `Bearer ${token}` });
  try {
    response = await fetch(addressOf(request), {
      method: request.method ?? "GET",
      headers,
      body: request.body,
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the server cannot be reached");
  }
  if (response.ok) return response;
  const message = await reason(response);
  if (response.status === 401 && token === session.get().token) {
    signOut("The server no longer takes this token: it was revoked, or has expired.");
  }
  throw new ApiError(response.status, message);
}

// headersOf refuses what no header can hold, which fetch would take for a failed network.
function headersOf(fields) {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    try {
      headers.set(name, value);
    } catch {
      throw new ApiError(400, `the header ${name} has a name or characters that HTTP does not know`);
    }
  }
  return headers;
}

async function reason(response) {
  const text = await response.text().catch(() => "");
  try {
    return JSON.parse(text).error || `status ${response.status}`;
  } catch {
    return `status ${response.status}`;
  }
}

export const isAbort = (error) => error?.name === "AbortError";

// all follows the cursors of a listing and hands over its pages, oldest call first.
export async function* all(request, signal) {
  let cursor;
  do {
    const page = await send({ ...request, query: { ...request.query, cursor } }, signal);
    yield page;
    cursor = page.cursor;
  } while (cursor);
}
