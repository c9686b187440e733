// Drawing: whatever state the server tells of the job, as the page shows and says it.

import { comparison } from "./compare.js";
import { $, element } from "./elements.js";
import { offer } from "./form.js";
import { banner } from "./server.js";

const compare = comparison($("compare"));
let state = null;
let announced = "";

// `run`: the one that it comes from, so that a later one is another address.
const picture = (name, run = 0) => `jobs/${state.id}/picture/${name}?run=${run}`;

// `moving`: the strength is being moved, and stays where it is.
export function draw(told, moving) {
  state = told;
  const { phase, asked, result, preview } = state;
  const busy = phase === "waiting" || phase === "working";
  const solving = busy && asked === "solve";
  const known = state.picture !== undefined;
  $("start").hidden = true;
  $("work").hidden = false;
  $("name").textContent = state.name;
  about();
  offer(state);
  $("form").hidden = !known || solving;
  $("running").hidden = !busy;
  if (busy) progress(solving);
  $("outcome").hidden = !result;
  if (result) outcome(result, moving);
  facts(state.facts);
  view(known, result, preview, solving);
  fail(phase === "failed" ? state.error : phase === "cancelled" ? "Cancelled." : "");
  announce();
}

function about() {
  const seen = state.picture;
  $("about").textContent = seen ? `${seen.width} × ${seen.height} pixels, ${seen.grey ? "grey" : "colour"}` : state.scan ? "a file of numbers: a scan?" : "";
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

function outcome(result, moving) {
  $("verdict").textContent = SENTENCES[result.label] ?? result.verdict;
  $("theorem").textContent = result.verdict;
  $("ended").textContent = `The run ${result.ended}; ${result.steps}, ${result.seconds.toFixed(1)} s.`;
  list("lines", result.details);
  list("warnings", result.warnings);
  $("strengths").hidden = !result.adjustable || !state.found_strength;
  const asked = state.asked_strength;
  const octaves = asked ? Math.log2(asked / state.found_strength) : 0;
  if (!moving) $("strength").value = octaves;
  factor();
  $("result").href = `jobs/${state.id}/result`;
  $("report").href = `jobs/${state.id}/report`;
}

export function factor() {
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

export function fail(words) {
  $("error").hidden = !words;
  if ($("error").textContent !== words) $("error").textContent = words;
  if (words && $("work").hidden) {
    banner(words);
  }
}

export function say(words) {
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

// The first step again, without a picture.
export function begin() {
  fail("");
  $("start").hidden = false;
  $("work").hidden = true;
  document.body.classList.remove("seen");
}
