// The page: what a user does becomes a request, and what the server tells is drawn.

import { begin, draw, factor, fail, say } from "./drawing.js";
import { $ } from "./elements.js";
import { build, chosen, clear, files, numbers } from "./form.js";
import { ask, follow, leave, post } from "./server.js";

const choices = await ask("choices"); // what may be wrong, and the limits
let job = null; // the number of the job of this tab; kept in the address, so that a reload finds it
let state = null;
let touched = false; // the strength is being moved; the server has not heard of it yet
let wanted = null; // the strength to send next, while another is on its way

function open(id) {
  job = id;
  history.replaceState(null, "", `#${id}`);
  follow(id, (told) => draw((state = told), touched), gone);
}

function gone() {
  again();
  fail("This picture is no longer kept; upload it again.");
}

async function upload(file) {
  if (file.size > choices.most_bytes) {
    fail(`${file.name} is larger than ${choices.most_bytes / 1e6} MB; make it smaller, or start pnp-recon serve with --max-mb.`);
    return;
  }
  await again();
  say(`Sending ${file.name}`);
  $("drop").setAttribute("aria-busy", "true");
  try {
    const made = await ask(`jobs?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
    open(made.id);
  } catch (error) {
    fail(error.message);
  }
  $("drop").removeAttribute("aria-busy");
}

async function attach(role, file) {
  await ask(`jobs/${job}/attach?role=${role}&name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
}

// Back to the first step; the server forgets the picture.
async function again() {
  const old = job;
  leave();
  job = state = wanted = null;
  touched = false;
  history.replaceState(null, "", location.pathname);
  $("file").value = "";
  begin();
  clear();
  if (old) await ask(`jobs/${old}`, { method: "DELETE" }).catch(() => {});
}

async function restore(event) {
  event.preventDefault();
  fail("");
  touched = false;
  $("go").disabled = true; // not twice
  try {
    for (const [role, file] of files()) await attach(role, file);
    await post(`jobs/${job}/solve`, { wrong: chosen().name, numbers: numbers() });
  } catch (error) {
    fail(error.message);
  }
  $("go").disabled = false;
}

// The server solves the last strength it was told, also where another run is on. One request at a
// time, so that the last move is the last to arrive.
async function change() {
  const sending = wanted !== null;
  wanted = state.found_strength * 2 ** Number($("strength").value);
  if (sending) return;
  fail("");
  try {
    while (wanted !== null) {
      const [strength, { choice }] = [wanted, state];
      await post(`jobs/${job}/solve`, { wrong: choice.wrong, numbers: choice.numbers, strength });
      if (wanted === strength) wanted = null;
    }
  } catch (error) {
    wanted = null;
    fail(error.message);
  }
  touched = false;
}

// ---- listening ----------------------------------------------------------------------------------

$("file").addEventListener("change", () => $("file").files[0] && upload($("file").files[0]));
$("another").addEventListener("click", () => again().then(() => $("file").focus()));
$("form").addEventListener("submit", restore);
$("cancel").addEventListener("click", () => post(`jobs/${job}/cancel`).catch((error) => fail(error.message)));
$("strength").addEventListener("input", () => {
  touched = true;
  factor();
});
$("strength").addEventListener("change", change);
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", () => document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (!file) return;
  const place = $("extras").querySelector("input[type=file]");
  if (job && place) place.files = event.dataTransfer.files; // the mask or the kernel
  else upload(file);
});

build(choices);
if (location.hash.length > 1) open(location.hash.slice(1));
