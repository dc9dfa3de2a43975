// Two small charts. Each says in text beside it all that it shows.

import { el, svg } from "./dom.js";
import { contribution, fieldLabel, percent, valueLabel } from "./words.js";

/** Draw a probability and its interval on a line from 0 to 100%. */
export function probabilityLine({ attrition_probability: probability, interval: [low, high] }) {
  const at = (number) => `${(100 * number).toFixed(2)}%`;
  return el(
    "div",
    { class: "line", "aria-hidden": "true" },
    svg(
      "svg",
      { width: "100%", height: "28" },
      svg("rect", { class: "track", x: "0", y: "11", width: "100%", height: "6", rx: "3" }),
      svg("rect", { class: "range", x: at(low), y: "6", width: at(high - low), height: "16", rx: "3" }),
      svg("line", { class: "point", x1: at(probability), x2: at(probability), y1: "0", y2: "28" }),
    ),
    el("div", { class: "ticks" }, ...[0, 0.5, 1].map((tick) => el("span", { text: percent(tick).replace(".0", "") }))),
  );
}

/** Draw the reasons as bars to either side of zero: filled ones raise, hollow ones lower. */
export function reasonBars(reasons, record) {
  const largest = Math.max(...reasons.map((each) => Math.abs(each.contribution)), 1e-9);
  const head = ["Field", "Lowers | raises", "Log-odds"].map((text) => el("th", { scope: "col", text }));
  const rows = reasons.map((reason) =>
    el(
      "tr",
      {},
      el(
        "th",
        { scope: "row" },
        el("span", { text: fieldLabel(reason.feature) }),
        el("span", { class: "value", text: valueLabel(reason.feature, record[reason.feature]) }),
      ),
      el("td", { class: "bar" }, bar(reason.contribution / largest)),
      el("td", { class: "number" }, contribution(reason.contribution), el("span", { class: "value", text: direction(reason.contribution) })),
    ),
  );
  return el("table", { class: "reasons" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

function bar(share) {
  const width = 49 * Math.abs(share);
  return svg(
    "svg",
    { width: "100%", height: "24", "aria-hidden": "true" },
    svg("rect", {
      class: share < 0 ? "lowers" : "raises",
      x: `${share < 0 ? 50 - width : 50}%`,
      y: "4",
      width: `${width}%`,
      height: "16",
    }),
    svg("line", { class: "zero", x1: "50%", x2: "50%", y1: "0", y2: "24" }),
  );
}

function direction(number) {
  if (number === 0) return "no effect";
  return number < 0 ? "lowers" : "raises";
}
