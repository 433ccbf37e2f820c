// The address behind the #: #/messages/msg_1?tab=body is { path: ["messages", "msg_1"], query }.
// So the dashboard is one page for the server, under any path, and every view has a link.
import { store } from "./store.js";

export const route = store(parse(location.hash));

addEventListener("hashchange", () => route.set(parse(location.hash)));

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // somebody typed a percent sign
  }
}

// linkTo makes an address of segments and { name: value or list }.
export function linkTo(path, query = {}) {
  const params = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) => [value].flat().filter(Boolean).map((v) => [name, v])),
  ).toString();
  return "#/" + path.map(encodeURIComponent).join("/") + (params ? "?" + params : "");
}

export const go = (path, query) => {
  location.hash = linkTo(path, query);
};
