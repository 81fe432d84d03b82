"use strict";
// Lays the two images over each other and shows as much of the upper one as the slider says.
// Without this they stand side by side, as the HTML has them.
const compare = document.getElementById("compare");
const split = document.getElementById("split");

function show() {
  compare.style.setProperty("--split", split.value + "%");
  split.setAttribute("aria-valuetext", split.value + " % bicubic");
}

function drag(event) {
  if (event.buttons !== 1) return;
  const box = compare.getBoundingClientRect();
  split.value = 100 * (event.clientX - box.left) / box.width;
  show();
}

compare.classList.replace("compare", "slides");
document.getElementById("slider").hidden = false;
split.addEventListener("input", show);
compare.addEventListener("pointerdown", drag);
compare.addEventListener("pointermove", drag);
compare.addEventListener("dragstart", event => event.preventDefault());
show();
