// The list of what would change an answer, and the button that asks for it.

import { Refusal, predict } from "./client.js";
import { byId, el, focusOn } from "./dom.js";
import { variations, worthTelling } from "./whatif.js";
import { changeLabel, decision, fieldLabel, percent, points } from "./words.js";

const CAUTION =
  "These are associations in past data, not causes: a change may do nothing, or the opposite. " +
  "Each line changes one field alone and leaves all others as they are.";

/** Make the section for one record; `keyOf` returns the key when it is needed. */
export function changesSection(record, keyOf) {
  const place = el("div");
  const button = el("button", { type: "button", text: "Find what would change this answer", onclick: ask });
  let busy = false;

  async function ask() {
    if (busy) return;
    busy = true;
    byId("status").textContent = "Asking about changes of this record …";
    try {
      show(place, record, await changesOf(record, keyOf()));
      byId("status").textContent = "What would change the answer is listed below it.";
      button.remove();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      byId("status").textContent = "";
      place.replaceChildren(el("p", { class: "error", role: "alert", text: error.message }));
    } finally {
      busy = false;
    }
  }

  return el("section", { class: "changes" }, el("h4", { text: "What would change it" }), button, place);
}

async function changesOf(record, key) {
  const changes = variations(record);
  // The record itself comes first: another release may answer by now.
  const answer = await predict(key, [record, ...changes.map((each) => each.record)], { hypothetical: true });
  const [before, ...after] = answer.predictions;
  return { before, ...worthTelling(before, changes, after) };
}

function show(place, record, { before, lowers, raises, unusual }) {
  const heading = el("h5", { text: "Would lower the probability" });
  place.replaceChildren(
    el("p", { class: "notice", text: CAUTION }),
    heading,
    changesTable(record, before, lowers),
    el("h5", { text: "Would raise the probability" }),
    changesTable(record, before, raises),
  );
  if (unusual) {
    place.append(el("p", { class: "hint", text: `Not listed: ${unusual} of the changes tried would make the record unlike those that the release has learned from.` }));
  }
  focusOn(heading);
}

function changesTable(record, before, changes) {
  if (!changes.length) return el("p", { text: "None of the changes tried does, by itself." });
  const head = ["Change", "Probability", "Decision"].map((text) => el("th", { scope: "col", text }));
  const rows = changes.map((change) =>
    el(
      "tr",
      {},
      el(
        "th",
        { scope: "row" },
        el("span", { text: fieldLabel(change.field) }),
        el("span", { class: "value", text: changeLabel(change.field, record[change.field], change.value) }),
      ),
      el("td", {}, percent(change.prediction.attrition_probability), el("span", { class: "value", text: `${points(change.move)} points` })),
      el("td", {}, decisionCell(before, change)),
    ),
  );
  return el("table", { class: "changes-table" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

function decisionCell(before, change) {
  const { mark, name } = decision(change.prediction);
  if (!change.changesDecision) return el("span", { text: `stays: ${name}` });
  return el("strong", {}, `${mark} ${name}`, el("span", { class: "value", text: `instead of: ${decision(before).name}` }));
}
