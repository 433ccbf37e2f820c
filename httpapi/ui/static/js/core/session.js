// Who is signed in: a token, kept in this tab's session storage and nowhere else. Closing the
// tab forgets it.
import { store } from "./store.js";

const key = "tidemill.token";

// session is { token } or { token: "", why }: what ended it, to be told at the sign-in.
export const session = store({ token: stored() });

export function signIn(token) {
  try {
    sessionStorage.setItem(key, token);
  } catch {
    // then it lasts until the page is loaded again
  }
  session.set({ token });
}

export function signOut(why = "") {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // nothing was kept
  }
  session.set({ token: "", why });
}

function stored() {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}
