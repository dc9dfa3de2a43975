// How fields, values and answers are said in words.

import contract from "./contract.js";

const FIELDS = new Map(contract.fields.map((field) => [field.name, field]));
const PERCENT = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const POINTS = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const CONTRIBUTION = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const WHOLE = new Intl.NumberFormat("en");
const ONE = { years: "year", miles: "mile", companies: "company", times: "time" };

export const DECISIONS = {
  at_risk: { mark: "▲", name: "At risk", why: "Even the lower end of the interval is at the release's threshold or above." },
  refer: { mark: "?", name: "Refer to a person", why: "The interval holds the release's threshold: there is not enough evidence for either." },
  not_at_risk: { mark: "▽", name: "Not at risk", why: "The whole interval is below the release's threshold." },
};

/** Say a field's name where it stands alone. */
export function fieldLabel(name) {
  return FIELDS.get(name)?.alone ?? name;
}

/** Say a value of a field, with its unit. */
export function valueLabel(name, value) {
  const field = FIELDS.get(name);
  const option = field?.options?.find((each) => each.value === value);
  if (option) return option.label;
  if (typeof value !== "number") return String(value ?? "not given");
  return field ? `${WHOLE.format(value)} ${unitOf(field, value)}` : WHOLE.format(value);
}

/** Say the change of a field from one value to another, with its unit once. */
export function changeLabel(name, before, after) {
  const isPlain = typeof before === "number" && !FIELDS.get(name)?.options;
  const share = Math.round(100 * (after / before - 1));
  return isPlain
    ? `${WHOLE.format(before)} → ${valueLabel(name, after)} (${signed(share, WHOLE)}%)`
    : `${valueLabel(name, before)} → ${valueLabel(name, after)}`;
}

/** Say a decision; `why` gives its reason for this answer. */
export function decision(prediction) {
  const words = DECISIONS[prediction.decision];
  if (!words) return { mark: "", name: prediction.decision, why: "" };
  if (prediction.decision !== "refer" || !prediction.outlier.is_outlier) return words;
  return { ...words, why: "The record is unlike those that the release has learned from, so its answer cannot be relied on." };
}

/** Say a business rule by the sentence that must hold. */
export function ruleSentence(name) {
  return contract.rules[name] ?? name;
}

/** Say a probability, such as 83.1%. */
export function percent(probability) {
  return PERCENT.format(probability);
}

/** Say the interval of a probability. */
export function interval([low, high]) {
  return `${percent(low)} to ${percent(high)}`;
}

/** Say a difference of probabilities in percentage points, with its sign. */
export function points(difference) {
  return signed(difference * 100, POINTS);
}

/** Say a contribution to the log-odds, with its sign. */
export function contribution(number) {
  return signed(number, CONTRIBUTION);
}

/** Say what belongs into a field of the form; `expected` is how the service says it. */
export function expectedLabel(name, expected) {
  return FIELDS.get(name)?.options ? "one of the list" : expected;
}

/** Say how many there are of something. */
export function count(number, one, many = `${one}s`) {
  return `${WHOLE.format(number)} ${number === 1 ? one : many}`;
}

/** Say what the answer says of the population; null: it says nothing. */
export function driftSentence(drift) {
  const seen = count(drift?.records ?? 0, "record");
  switch (drift?.status) {
    case "not_enough_data":
      return `Too few records have been asked about (${seen}) to say whether the population is still the one that the release has learned from.`;
    case "ok":
      return `The last ${seen} look like the population that the release has learned from.`;
    case "drift":
      return `The population has drifted: the last ${seen} differ from those that the release has learned from in ${(drift.features ?? []).map(fieldLabel).join(", ") || "several fields together"}. Take the answers with care.`;
    default:
      return null;
  }
}

function unitOf({ unit }, value) {
  return value === 1 ? (ONE[unit] ?? unit) : unit;
}

function signed(number, format) {
  const text = format.format(Math.abs(number));
  if (/^[0.,]*$/.test(text)) return text;
  return `${number < 0 ? "−" : "+"}${text}`;
}
