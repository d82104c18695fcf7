// What scrolls by itself can be scrolled by keyboard: it takes the focus exactly while something of it is hidden.
const watch = new ResizeObserver((entries) => entries.forEach(({ target }) => reach(target)));

function reach(box) {
  if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  else if (box.tabIndex === 0) box.removeAttribute("tabindex");
}

addEventListener("load", () => {
  document
    .querySelectorAll(".bd-content :is(.pst-scrollable-table-container, .cell_output, .highlight pre, div.math)")
    .forEach((box) => watch.observe(box));
});
