// The answers: one in full, or a table of many that can be sorted, with one in full below it.

import { changesSection } from "./changes.js";
import { formatTable } from "./csv.js";
import { detailsOf } from "./details.js";
import { byId, el, focusOn } from "./dom.js";
import { placeLabel } from "./problems.js";
import { answerRows } from "./rows.js";
import { DECISIONS, count, decision, driftSentence, fieldLabel, interval, percent } from "./words.js";

const PAGE_ROWS = 100;
const FILE_NAME = "attrition-answers.csv";

const COLUMNS = [
  { title: "Record", key: (row) => row.index, cell: recordCell },
  { title: "Probability", key: (row) => row.prediction.attrition_probability, cell: (row) => percent(row.prediction.attrition_probability), largestFirst: true },
  { title: "Interval", key: (row) => widthOf(row.prediction.interval), cell: (row) => interval(row.prediction.interval) },
  { title: "Decision", key: (row) => Object.keys(DECISIONS).indexOf(row.prediction.decision), cell: decisionCell },
  { title: "Usual", key: (row) => Number(!row.prediction.outlier.is_outlier), cell: (row) => (row.prediction.outlier.is_outlier ? "No" : "Yes") },
  { title: "First reason", key: firstReason, cell: firstReason },
];

/** Take the answers away. */
export function clearResults() {
  byId("results").replaceChildren();
}

/** Show the answer for the one record of the form. */
export function showOne(answer, record, keyOf) {
  byId("results").replaceChildren(
    detailsOf("This employee", record, answer.predictions[0], changesSection(record, keyOf)),
    ...about(answer),
  );
}

/** Show the answers for pasted records; `places` says where each came from. */
export function showMany(answer, records, places, keyOf) {
  const rows = answer.predictions.map((prediction, index) => ({
    index,
    prediction,
    record: records[index],
    place: places[index],
  }));
  const details = el("div", { id: "details" });
  const choose = (row, button) => showDetails(details, row, button, keyOf);
  byId("results").replaceChildren(
    el("p", { class: "counts" }, ...summary(rows)),
    el("p", { class: "buttons" }, el("button", { type: "button", text: "Download the answers (CSV)", onclick: () => download(answer, rows) })),
    sortableTable(rows, choose),
    details,
    ...about(answer),
  );
}

function summary(rows) {
  const tally = (name) => rows.filter((row) => row.prediction.decision === name).length;
  return Object.entries(DECISIONS).map(([name, words]) => el("span", { text: `${words.mark} ${words.name}: ${tally(name)} ` }));
}

function about(answer) {
  const drift = driftSentence(answer.drift);
  return [
    drift && el("section", { class: `drift ${answer.drift.status}` }, el("h3", { text: "The population" }), el("p", { text: drift })),
    el("p", { class: "hint", text: `Answered by release ${answer.release}.` }),
  ].filter(Boolean);
}

function showDetails(place, row, button, keyOf) {
  const back = el("button", { type: "button", text: "Back to the table", onclick: () => button.focus() });
  const title = placeLabel(row.index, row.place);
  const shown = detailsOf(title, row.record, row.prediction, changesSection(row.record, keyOf), el("p", { class: "buttons" }, back));
  place.replaceChildren(shown);
  focusOn(shown.querySelector("h3"));
}

function sortableTable(rows, choose) {
  let sorted = rows, by = COLUMNS[0], descending = false, shown = PAGE_ROWS;
  const body = el("tbody");
  const more = el("button", { type: "button", onclick: () => draw((shown += PAGE_ROWS)) });
  const heads = COLUMNS.map((column) =>
    el("th", { scope: "col" }, el("button", { type: "button", class: "sort", text: column.title, onclick: () => sortBy(column) })),
  );

  function sortBy(column) {
    descending = column === by ? !descending : Boolean(column.largestFirst);
    by = column;
    sorted = rows.toSorted((a, b) => (descending ? -1 : 1) * compare(by.key(a), by.key(b)));
    byId("status").textContent = `Sorted by ${by.title.toLowerCase()}, ${descending ? "descending" : "ascending"}.`;
    draw();
  }

  function draw() {
    heads.forEach((head, at) => {
      if (COLUMNS[at] === by) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...sorted.slice(0, shown).map((row) => rowOf(row, choose)));
    const rest = sorted.length - shown;
    more.hidden = rest <= 0;
    more.textContent = `Show ${Math.min(PAGE_ROWS, rest)} more of ${rest}`;
  }

  draw();
  const table = el("table", { class: "answers" }, el("thead", {}, el("tr", {}, ...heads)), body);
  const scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Answers" }, table);
  return el("div", {}, scroll, more);
}

function compare(a, b) {
  return typeof a === "string" ? a.localeCompare(b) : a - b;
}

function rowOf(row, choose) {
  return el("tr", {}, ...COLUMNS.map((column, at) => el(at ? "td" : "th", at ? {} : { scope: "row" }, column.cell(row, choose))));
}

function recordCell(row, choose) {
  const text = row.place?.id ? `${row.index + 1}: employee ${row.place.id}` : `${row.index + 1}`;
  const button = el("button", { type: "button", class: "link", text, "aria-label": `Details of record ${text}`, onclick: () => choose(row, button) });
  return button;
}

function widthOf([low, high]) {
  return high - low;
}

function firstReason(row) {
  return fieldLabel(row.prediction.reasons[0]?.feature ?? "");
}

function decisionCell(row) {
  const { mark, name } = decision(row.prediction);
  return el("span", { class: `decision ${row.prediction.decision}` }, el("span", { class: "mark", "aria-hidden": "true", text: mark }), name);
}

function download(answer, rows) {
  const blob = new Blob([formatTable(answerRows(answer.release, rows))], { type: "text/csv" });
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: FILE_NAME }).click();
  // The browser has begun to read by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  byId("status").textContent = `The answers for ${count(rows.length, "record")} are in ${FILE_NAME}.`;
}
