// One module, three hosts: anywidget with a kernel, the static page, and a picture where no script runs.

import * as ask from "./ask.mjs";
import * as edit from "./edit.mjs";
import * as facts from "./facts.mjs";
import * as heat from "./heat.mjs";
import * as phase from "./phase.mjs";
import * as replay from "./replay.mjs";
import * as swap from "./swap.mjs";
import * as watch from "./watch.mjs";

const KINDS = { ask, edit, facts, heat, phase, replay, swap, watch };

function render({ model, el }) {
  return KINDS[model.get("kind")].mount(el, model);
}

/** What a widget's model is without a kernel: values that can be read, set and listened to. */
function plain(values) {
  return { get: (name) => values[name], set: (name, value) => { values[name] = value; }, save_changes() {}, on() {} };
}

/** Bring an island of the static page alive, in place of its picture. */
function wake(island) {
  const values = JSON.parse(island.dataset.explorable), place = document.createElement("div");
  try {
    island.append(place); // before it is filled: its colours are the document's
    KINDS[values.kind].mount(place, plain(values));
    island.replaceChildren(place);
    island.dataset.alive = values.kind;
  } catch (error) {
    place.remove(); // the picture stays
    console.error("An explorable failed:", error);
  }
}

export function boot() {
  const near = new IntersectionObserver((entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) { near.unobserve(target); wake(target); }
  }, { rootMargin: "300px" });
  document.querySelectorAll("[data-explorable]").forEach((island) => near.observe(island));
}

export default { render };
