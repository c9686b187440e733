// The form: what may be wrong with a picture, and what may be given besides.

import { $, element } from "./elements.js";

let wrongs = [];

export const chosen = () => wrongs.find((one) => $(`wrong-${one.name}`).checked);

export function build(choices) {
  wrongs = choices.wrongs;
  for (const wrong of wrongs) {
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

export function fields() {
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

// Nothing is chosen yet.
export function clear() {
  document.querySelectorAll("#wrongs input").forEach((one) => (one.checked = false));
  fields();
}

// The choices that fit what was uploaded.
export function offer(state) {
  for (const wrong of wrongs)
    $(`choice-${wrong.name}`).hidden = wrong.scans ? !state.scan : !state.picture;
}

// The numbers that were filled in, by field.
export function numbers() {
  const given = {};
  for (const one of chosen().fields) {
    const input = $(`field-${one.name}`);
    if (input.value !== "") given[one.name] = input.valueAsNumber;
  }
  return given;
}

// The files that were given, [role, file].
export function files() {
  return chosen().files
    .map((one) => [one.role, $(`file-${one.role}`).files[0]])
    .filter(([, file]) => file);
}
