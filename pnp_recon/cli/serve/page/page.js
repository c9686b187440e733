// The page: sends files and choices, and draws whatever state the server tells of the job.

import { comparison } from "./compare.js";

const $ = (id) => document.getElementById(id);
const compare = comparison($("compare"));
let choices = null; // what may be wrong, and the limits
let job = null; // the number of the job of this tab; kept in the address, so that a reload finds it
let state = null;
let events = null;
let announced = "";
let touched = false; // the strength is being moved; the server has not heard of it yet
let wanted = null; // the strength to send next, while another is on its way

// ---- talking to the server ----------------------------------------------------------------------

async function ask(path, options = {}) {
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

const post = (path, value) => ask(path, { method: "POST", body: JSON.stringify(value ?? {}) });

function ended() {
  banner("The server does not answer. If it has ended, start pnp-recon serve again and open the address that it prints.");
}

function replaced() {
  banner("This page belongs to a server that has ended. Open the address that the new one printed.");
}

function banner(words) {
  $("banner").hidden = !words;
  if ($("banner").textContent !== words) $("banner").textContent = words;
}

function follow(id) {
  events?.close();
  job = id;
  history.replaceState(null, "", `#${id}`);
  events = new EventSource(`jobs/${id}/events`);
  events.onmessage = (message) => {
    banner("");
    state = JSON.parse(message.data);
    if (state.phase === "gone") {
      again();
      fail("This picture is no longer kept; upload it again.");
    } else if (state.phase === "ended") ended();
    else draw();
  };
  events.onerror = async () => {
    const closed = events.readyState === EventSource.CLOSED;
    try {
      await ask("choices");
      if (closed) {
        again();
        fail("This picture is no longer kept; upload it again.");
      }
    } catch { /* said */ }
  };
}

// ---- files --------------------------------------------------------------------------------------

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
    follow(made.id);
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
  events?.close();
  events = job = state = wanted = null;
  touched = false;
  history.replaceState(null, "", location.pathname);
  fail("");
  $("file").value = "";
  document.querySelectorAll("#wrongs input").forEach((one) => (one.checked = false));
  fields();
  $("start").hidden = false;
  $("work").hidden = true;
  document.body.classList.remove("seen");
  if (old) await ask(`jobs/${old}`, { method: "DELETE" }).catch(() => {});
}

// ---- the form -----------------------------------------------------------------------------------

const chosen = () => choices.wrongs.find((one) => $(`wrong-${one.name}`).checked);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function build() {
  for (const wrong of choices.wrongs) {
    const id = `wrong-${wrong.name}`;
    const radio = element("input", { type: "radio", name: "wrong", id, value: wrong.name, required: true });
    radio.setAttribute("aria-describedby", `${id}-hint`);
    radio.addEventListener("change", fields);
    const label = element("label", { htmlFor: id, textContent: wrong.words });
    const hint = element("p", { id: `${id}-hint`, className: "minor", textContent: wrong.hint });
    $("wrongs").append(element("div", { className: "choice", id: `choice-${wrong.name}` }, radio, label, hint));
  }
  $("limits").textContent = `Up to ${choices.most_bytes / 1e6} MB and ${choices.most_megapixels} million pixels: PNG, JPEG, TIFF, WebP, GIF, HEIC, raw files of cameras; scans as .npy, .h5, .mat, .tif.`;
}

function fields() {
  $("extras").replaceChildren();
  const wrong = chosen();
  if (!wrong) return;
  for (const one of wrong.files) {
    const input = element("input", { type: "file", id: `file-${one.role}`, required: one.required });
    $("extras").append(element("label", {}, one.words, input));
  }
  for (const one of wrong.fields) {
    const input = element("input", {
      type: "number", id: `field-${one.name}`, min: one.low, max: one.high,
      step: one.whole ? 1 : "any", value: one.default ?? "", placeholder: "found in the picture",
    });
    $("extras").append(element("label", {}, one.words, input));
  }
}

async function restore(event) {
  event.preventDefault();
  const wrong = chosen();
  const numbers = {};
  for (const one of wrong.fields) {
    const input = $(`field-${one.name}`);
    if (input.value !== "") numbers[one.name] = input.valueAsNumber;
  }
  fail("");
  touched = false;
  $("go").disabled = true; // not twice
  try {
    for (const one of wrong.files) {
      const [file] = $(`file-${one.role}`).files;
      if (file) await attach(one.role, file);
    }
    await post(`jobs/${job}/solve`, { wrong: wrong.name, numbers });
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

// ---- drawing ------------------------------------------------------------------------------------

// `run`: the one that it comes from, so that a later one is another address.
const picture = (name, run = 0) => `jobs/${job}/picture/${name}?run=${run}`;

function draw() {
  const { phase, asked, result, preview } = state;
  const busy = phase === "waiting" || phase === "working";
  const solving = busy && asked === "solve";
  const known = state.picture !== undefined;
  $("start").hidden = true;
  $("work").hidden = false;
  $("name").textContent = state.name;
  about();
  $("form").hidden = !known || solving;
  $("running").hidden = !busy;
  if (busy) progress(solving);
  $("outcome").hidden = !result;
  if (result) outcome(result);
  facts(state.facts);
  view(known, result, preview, solving);
  fail(phase === "failed" ? state.error : phase === "cancelled" ? "Cancelled." : "");
  announce();
}

function about() {
  const seen = state.picture;
  $("about").textContent = seen ? `${seen.width} × ${seen.height} pixels, ${seen.grey ? "grey" : "colour"}` : state.scan ? "a file of numbers: a scan?" : "";
  for (const wrong of choices.wrongs)
    $(`choice-${wrong.name}`).hidden = wrong.scans ? !state.scan : !seen;
}

function progress(solving) {
  const { phase, ahead, stage, fraction, left } = state;
  let words = solving ? "Restoring the picture" : "Looking at the picture";
  if (phase === "waiting") words = ahead ? `Waiting for ${ahead} other ${ahead === 1 ? "picture" : "pictures"}` : "Waiting for the program to be loaded";
  $("stage").textContent = words;
  $("detail").textContent = phase === "working" ? stage : "";
  if (fraction) $("bar").value = fraction;
  else $("bar").removeAttribute("value");
  $("bar").setAttribute("aria-valuetext", left ? `about ${Math.round(left)} seconds left` : words);
}

// One sentence for each label of a certificate; the theorem itself is in the details.
const SENTENCES = {
  "certified": "Certified: it is proven that this computation converges, and the run agrees with the proof.",
  "certified if": "Certified on a condition that nobody has checked; see the details.",
  "FAILED": "The certificate failed: the run broke a law of its proof. Do not rely on this picture.",
  "not certified": "Not certified: the run ended before what the proof asks for was there.",
  "no guarantee": "No guarantee: nothing is proven about this computation.",
};

function outcome(result) {
  $("verdict").textContent = SENTENCES[result.label] ?? result.verdict;
  $("theorem").textContent = result.verdict;
  $("ended").textContent = `The run ${result.ended}; ${result.steps}, ${result.seconds.toFixed(1)} s.`;
  list("lines", result.details);
  list("warnings", result.warnings);
  $("strengths").hidden = !result.adjustable || !state.found_strength;
  const asked = state.asked_strength;
  const octaves = asked ? Math.log2(asked / state.found_strength) : 0;
  if (!touched) $("strength").value = octaves;
  factor();
  $("result").href = `jobs/${job}/result`;
  $("report").href = `jobs/${job}/report`;
}

function factor() {
  const times = 2 ** Number($("strength").value);
  const words = times === 1 ? "as found from the picture" : `${times < 1 ? times.toFixed(2) : times.toFixed(1)} times what was found`;
  $("factor").textContent = words;
  $("strength").setAttribute("aria-valuetext", words);
}

function facts(found) {
  $("facts").hidden = !found;
  if (!found) return;
  $("kernel").hidden = !found.kernel;
  const kernel = picture("kernel", found.run);
  if (found.kernel && $("kernel").getAttribute("src") !== kernel) $("kernel").src = kernel;
  const blur = found.kernel?.words ?? "";
  $("blur").textContent = blur.charAt(0).toUpperCase() + blur.slice(1);
  $("noise").textContent = `Noise: ${found.noise}`;
}

function view(known, result, preview, solving) {
  $("view").hidden = !(known && (state.picture || result));
  document.body.classList.toggle("seen", Boolean(result || preview));
  if (result) {
    compare.show(picture("before", result.run), picture("after", result.run));
    $("caption").textContent = solving ? "The result so far; the new strength is being solved." : "Before and after.";
  } else if (preview) {
    compare.show(picture("previewed", preview.run), picture("preview", preview.run));
    $("caption").textContent = "A quick preview of the middle, before and after. The result will be better.";
  } else if (state.picture) {
    compare.show(picture("seen"));
    $("caption").textContent = "The picture as it was read.";
  }
}

function list(id, lines) {
  $(id).replaceChildren(...lines.map((line) => element("li", { textContent: line })));
}

function fail(words) {
  $("error").hidden = !words;
  if ($("error").textContent !== words) $("error").textContent = words;
  if (words && $("work").hidden) {
    banner(words);
  }
}

function say(words) {
  if (announced !== words) $("said").textContent = announced = words;
}

// For screen readers: a sentence for each step, not for each iteration.
function announce() {
  const { phase, asked, preview, fraction } = state;
  if (phase === "done") {
    if (announced !== `${state.result.run} done`) {
      say($("verdict").textContent);
      announced = `${state.result.run} done`;
    }
  } else if (phase === "ready") say("The picture was read. Choose what is wrong with it.");
  else if (phase === "working" && asked === "solve")
    say(fraction >= 0.5 ? "More than half done." : preview ? "A preview is shown." : "Restoring the picture.");
  else if (phase === "waiting") say($("stage").textContent);
}

// ---- beginning ----------------------------------------------------------------------------------

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
  if (!file || !choices) return;
  const place = $("extras").querySelector("input[type=file]");
  if (job && place) place.files = event.dataTransfer.files; // the mask or the kernel
  else upload(file);
});

choices = await ask("choices");
build();
if (location.hash.length > 1) follow(location.hash.slice(1));
