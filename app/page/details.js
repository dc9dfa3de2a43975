// The answer for one record: how likely, how sure, why, how usual, and what would change it.

import { probabilityLine, reasonBars } from "./charts.js";
import { el } from "./dom.js";
import { decision, fieldLabel, interval, percent, ruleSentence, valueLabel } from "./words.js";

/** Show one prediction under `title`; `more` comes at its end. */
export function detailsOf(title, record, prediction, ...more) {
  const { mark, name, why } = decision(prediction);
  return el(
    "article",
    { class: "details" },
    el("h3", { text: title }),
    el("p", { class: `decision ${prediction.decision}` }, el("span", { class: "mark", "aria-hidden": "true", text: mark }), name),
    el("p", { text: why }),
    el("p", { class: "probability" }, el("strong", { text: percent(prediction.attrition_probability) }), " probability of leaving"),
    el("p", { text: `How sure that is: ${interval(prediction.interval)}.` }),
    probabilityLine(prediction),
    el("h4", { text: "Why" }),
    el("p", { class: "hint", text: "The fields that move this answer most, compared with the average employee." }),
    reasonBars(prediction.reasons, record),
    el("h4", { text: "Is the record usual?" }),
    ...usual(record, prediction.outlier),
    ...more,
  );
}

function usual(record, outlier) {
  if (!outlier.is_outlier) {
    return [el("p", { text: "Yes: it is like those that the release has learned from." })];
  }
  const said = [el("p", { text: "No: it is unlike those that the release has learned from." })];
  if (outlier.broken_rules.length) {
    said.push(
      el("p", { text: "It breaks what holds in any company; look for a slip:" }),
      el("ul", {}, ...outlier.broken_rules.map((rule) => el("li", { text: ruleSentence(rule) }))),
    );
  }
  if (outlier.features.length) {
    const items = outlier.features.map((name) => el("li", { text: `${fieldLabel(name)}: ${valueLabel(name, record[name])}` }));
    said.push(el("p", { text: "The fields that make it so:" }), el("ul", {}, ...items));
  }
  return said;
}
