// The answers as rows of a CSV file: what was answered and which record it is, not the record.

const REASONS = 3;

/** Return the header and a row of cells for each answer. */
export function answerRows(release, rows) {
  return [header(), ...rows.map((row) => cells(release, row))];
}

function header() {
  const reasons = Array.from({ length: REASONS }, (_, at) => [`reason_${at + 1}`, `contribution_${at + 1}`]);
  return [
    ...["record", "EmployeeNumber", "release", "attrition_probability", "interval_low", "interval_high"],
    ...["decision", "is_outlier", "outlier_score", "outlier_features", "broken_rules"],
    ...reasons.flat(),
  ];
}

function cells(release, { index, place, prediction }) {
  const { outlier, reasons, interval } = prediction;
  const told = Array.from({ length: REASONS }, (_, at) => [reasons[at]?.feature, reasons[at]?.contribution]);
  return [
    ...[index + 1, place?.id, release, prediction.attrition_probability, ...interval],
    ...[prediction.decision, outlier.is_outlier, outlier.score],
    ...[outlier.features.join(" "), outlier.broken_rules.join(" ")],
    ...told.flat(),
  ];
}
