// Talking to the server: requests, the events of a job, and what is said where it does not answer.

import { $ } from "./elements.js";

let events = null;

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    ended();
    throw new Error("the server does not answer");
  }
  if (answer.ok) return answer.json();
  if (answer.status === 403) replaced();
  const found = await answer.json().catch(() => ({ error: `refused (${answer.status})` }));
  throw new Error(found.error);
}

export const post = (path, value) => ask(path, { method: "POST", body: JSON.stringify(value ?? {}) });

function ended() {
  banner("The server does not answer. If it has ended, start pnp-recon serve again and open the address that it prints.");
}

function replaced() {
  banner("This page belongs to a server that has ended. Open the address that the new one printed.");
}

export function banner(words) {
  $("banner").hidden = !words;
  if ($("banner").textContent !== words) $("banner").textContent = words;
}

// `told` gets every state of the job, `gone` is called where there is no such job any more.
export function follow(job, told, gone) {
  leave();
  events = new EventSource(`jobs/${job}/events`);
  events.onmessage = (message) => {
    banner("");
    const state = JSON.parse(message.data);
    if (state.phase === "gone") gone();
    else if (state.phase === "ended") ended();
    else told(state);
  };
  events.onerror = async () => {
    const closed = events?.readyState === EventSource.CLOSED;
    try {
      await ask("choices");
      if (closed) gone();
    } catch { /* said */ }
  };
}

export function leave() {
  events?.close();
  events = null;
}
