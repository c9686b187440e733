// Two pictures of one size over each other, with a line between them that a slider moves.

export function comparison(place) {
  place.innerHTML = `
    <div class="frame">
      <div class="pan" tabindex="0" role="group" aria-label="The picture; arrow keys move it">
        <div class="stage"><img class="before" alt="Before"><img class="top" alt="After"></div>
      </div>
      <div class="divider" aria-hidden="true"></div>
      <span class="tag before" aria-hidden="true">before</span>
      <span class="tag after" aria-hidden="true">after</span>
    </div>
    <div class="controls">
      <input type="range" min="0" max="100" value="50" aria-label="Where before ends and after begins">
      <button type="button" aria-pressed="true">100 %</button>
    </div>`;
  const [frame, pan, stage, divider, slider, full] =
    [".frame", ".pan", ".stage", ".divider", "input", "button"].map((s) => place.querySelector(s));
  const [before, after] = stage.querySelectorAll("img");

  function draw() {
    const share = slider.value / 100;
    const x = pan.scrollLeft + share * pan.clientWidth; // of the stage, which may be wider
    after.style.clipPath = `inset(0 0 0 ${x}px)`;
    divider.style.left = `${share * pan.clientWidth}px`;
    slider.setAttribute("aria-valuetext", `${slider.value} % before, ${100 - slider.value} % after`);
  }

  slider.addEventListener("input", draw);
  pan.addEventListener("scroll", draw);
  window.addEventListener("resize", draw);
  before.addEventListener("load", draw);
  after.addEventListener("load", draw);
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = frame.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    draw();
  });
  full.addEventListener("click", () => {
    const fits = frame.classList.toggle("fit");
    full.setAttribute("aria-pressed", String(!fits));
    draw();
  });

  let shown = "";
  return {
    // One picture alone, or two to compare.
    show(first, second) {
      if (shown === `${first} ${second}`) return;
      shown = `${first} ${second}`;
      place.classList.toggle("single", !second);
      frame.classList.toggle("fit", !second || full.getAttribute("aria-pressed") === "false");
      before.src = first;
      after.hidden = !second;
      if (second) after.src = second;
      else after.removeAttribute("src");
      pan.scrollLeft = Math.max(0, (stage.scrollWidth - pan.clientWidth) / 2);
      draw();
    },
  };
}
