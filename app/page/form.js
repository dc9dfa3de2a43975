// The form for one employee, built from the contract: a group of fields after the other.

import contract from "./contract.js";
import { byId, el } from "./dom.js";
import { toValue } from "./records.js";
import { expectedLabel } from "./words.js";

const ASKED = contract.fields.filter((field) => field.asked);

/** Put the form's fields into `container`. */
export function buildForm(container) {
  const groups = Map.groupBy(ASKED, (field) => field.group);
  for (const [group, fields] of groups) {
    container.append(
      el("fieldset", { class: "group" }, el("legend", { text: group }), el("div", { class: "grid" }, ...fields.map(fieldOf))),
    );
  }
}

/** Return what the form holds; an empty field is left out. */
export function readForm() {
  const entries = ASKED.map((field) => [field.name, inputOf(field.name).value.trim()]);
  return Object.fromEntries(
    entries.filter(([, text]) => text !== "").map(([name, text]) => [name, toValue(name, text)]),
  );
}

/** Fill the form with a record; fields that it does not have become empty. */
export function fillForm(record) {
  for (const { name } of ASKED) inputOf(name).value = record[name] ?? "";
  showFieldErrors([]);
}

/** Return the input of a field, or null: the form has none of that name. */
export function inputOf(name) {
  return byId(`field-${name}`);
}

/** Say at each field what is expected there, and at all others nothing. */
export function showFieldErrors(errors) {
  const expected = new Map(errors.map((error) => [error.field, error.expected]));
  for (const { name } of ASKED) {
    const text = expected.get(name);
    byId(`error-${name}`).textContent = text ? `Expected: ${expectedLabel(name, text)}` : "";
    if (text) inputOf(name).setAttribute("aria-invalid", "true");
    else inputOf(name).removeAttribute("aria-invalid");
  }
}

function fieldOf(field) {
  const id = `field-${field.name}`;
  const described = `hint-${field.name} error-${field.name}`;
  return el(
    "div",
    { class: "field" },
    el("label", { for: id, text: field.label }),
    field.options ? choice(field, id, described) : number(field, id, described),
    el("p", { class: "hint", id: `hint-${field.name}`, text: hint(field) }),
    el("p", { class: "error", id: `error-${field.name}` }),
  );
}

function choice(field, id, described) {
  const options = field.options.map(({ value, label }) => el("option", { value, text: label }));
  const none = el("option", { value: "", text: "Choose" });
  return el("select", { id, "aria-describedby": described, autocomplete: "off" }, none, ...options);
}

function number(field, id, described) {
  return el("input", {
    id,
    type: "number",
    inputmode: "numeric",
    min: field.minimum,
    max: field.maximum,
    step: 1,
    autocomplete: "off",
    "aria-describedby": described,
  });
}

function hint(field) {
  if (field.options) return "";
  const format = new Intl.NumberFormat("en");
  return `${format.format(field.minimum)} to ${format.format(field.maximum)} ${field.unit}`;
}
