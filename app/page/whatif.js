// What would change an answer: the same record with one field changed, which the service is asked
// about in one batch. Only fields that an employer can act on are changed.

import contract from "./contract.js";

const ACTIONABLE = contract.fields.filter((field) => field.actionable);
/** A field with too many values to try all of them is changed by these shares of its value. */
const SHARES = [-0.3, -0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5];
const SMALLEST_MOVE = 0.005;
const LISTED = 6;

/** List `{field, value, record}` for every legal change of one actionable field of `record`. */
export function variations(record) {
  return ACTIONABLE.flatMap((field) =>
    valuesOf(field, record[field.name]).map((value) => ({
      field: field.name,
      value,
      record: { ...record, [field.name]: value },
    })),
  );
}

/**
 * Choose the changes worth telling, from the predictions for `variations`, in their order.
 * Returns those that `lowers` and that `raises` the probability: for each field the smallest move
 * that changes the decision, else the largest; and how many are `unusual`: they would make the
 * record an outlier, so that nothing can be said of them.
 */
export function worthTelling(before, changes, predictions) {
  const all = changes.map((change, at) => ({
    ...change,
    prediction: predictions[at],
    move: predictions[at].attrition_probability - before.attrition_probability,
    changesDecision: predictions[at].decision !== before.decision,
  }));
  const usual = all.filter(({ prediction }) => before.outlier.is_outlier || !prediction.outlier.is_outlier);
  return {
    lowers: best(usual.filter(({ move }) => move < 0)),
    raises: best(usual.filter(({ move }) => move > 0)),
    unusual: all.length - usual.length,
  };
}

function valuesOf(field, present) {
  if (field.options) return field.options.map(({ value }) => value).filter((value) => value !== present);
  const legal = (value) => Math.min(field.maximum, Math.max(field.minimum, Math.round(value)));
  const values = new Set(SHARES.map((share) => legal(present * (1 + share))));
  values.delete(present);
  return [...values];
}

function best(changes) {
  const perField = [...Map.groupBy(changes, ({ field }) => field).values()].map(bestOfField);
  return perField
    .filter(({ move, changesDecision }) => changesDecision || Math.abs(move) >= SMALLEST_MOVE)
    .sort((a, b) => b.changesDecision - a.changesDecision || Math.abs(b.move) - Math.abs(a.move))
    .slice(0, LISTED);
}

function bestOfField(changes) {
  const bySize = changes.toSorted((a, b) => Math.abs(a.move) - Math.abs(b.move));
  return bySize.find(({ changesDecision }) => changesDecision) ?? bySize.at(-1);
}
