// What went wrong, in words, at the place where it did.

import { byId, el, focusOn } from "./dom.js";
import { inputOf, showFieldErrors } from "./form.js";
import { count, expectedLabel, fieldLabel } from "./words.js";

const SHOWN = 100;

/** Take away all that was said before. */
export function clearProblems() {
  byId("problems").replaceChildren();
  byId("key-error").textContent = "";
  byId("key").removeAttribute("aria-invalid");
  showFieldErrors([]);
}

/** Say what is wrong with the key, and go there. */
export function showKeyProblem(message) {
  byId("key-error").textContent = message;
  byId("key").setAttribute("aria-invalid", "true");
  byId("key").focus();
}

/** Say what is wrong with the whole. */
export function showProblem(message) {
  show(message);
}

/** Say what is wrong in the form: at each field, and in a list that leads there. */
export function showFormProblems(message, errors) {
  showFieldErrors(errors);
  const items = errors.map((error) => {
    const input = inputOf(error.field);
    const label = error.field ? fieldLabel(error.field) : "The record";
    const name = input
      ? el("button", { type: "button", class: "link", text: label, onclick: () => input.focus() })
      : label;
    return el("li", {}, name, `: ${input ? expectedLabel(error.field, error.expected) : error.expected}`);
  });
  show(message, el("ul", {}, ...items));
}

/** Say what is wrong in pasted records: a row each, with a button that selects its line. */
export function showRecordProblems(message, errors, places) {
  const head = el("tr", {}, ...["Record", "Field", "Expected"].map((text) => el("th", { scope: "col", text })));
  const rows = errors.slice(0, SHOWN).map((error) =>
    el(
      "tr",
      {},
      el("td", {}, error.record === null ? "All" : placeButton(error.record, places[error.record])),
      el("td", { text: error.field ? fieldLabel(error.field) : "The record" }),
      el("td", { text: error.expected }),
    ),
  );
  const table = el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
  const rest = errors.length - SHOWN;
  show(
    message,
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "What is expected" }, table),
    rest > 0 ? el("p", { text: `And ${count(rest, "more of them", "more of them")}.` }) : null,
  );
}

/** Say which record: its number from 1, its line, its employee number, as far as there are any. */
export function placeLabel(record, place) {
  const parts = [`Record ${record + 1}`];
  if (place?.line) parts.push(`line ${place.line}`);
  if (place?.id) parts.push(`employee ${place.id}`);
  return parts.join(", ");
}

function placeButton(record, place) {
  const label = placeLabel(record, place);
  if (!place?.line) return label;
  return el("button", { type: "button", class: "link", text: label, onclick: () => select(place) });
}

function select({ start, end, line }) {
  const area = byId("records");
  area.focus();
  area.setSelectionRange(start, end);
  // Selecting does not scroll; a line of text is as high as the area's share of them.
  const lines = area.value.split("\n").length;
  area.scrollTop = (area.scrollHeight * Math.max(0, line - 3)) / lines;
}

function show(message, ...more) {
  const heading = el("h3", { text: message });
  byId("problems").replaceChildren(el("div", { class: "problem", role: "group", "aria-label": "Problem" }, heading, ...more));
  focusOn(heading);
}
