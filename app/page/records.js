// From pasted text to the records that are sent. Whether a value is right, the service says; here
// is only what it could not say well: a table's shape and its header.

import contract from "./contract.js";
import { parseTable, TableError } from "./csv.js";

const ID = "EmployeeNumber";
const MAX_RECORDS = 10 * contract.maxRecords;
const KINDS = new Map(contract.fields.map((field) => [field.name, field.kind]));
const REQUIRED = contract.fields.filter((field) => field.asked).map((field) => field.name);
const LEFT_OUT = new Set([...contract.ignored, contract.target]);

/**
 * Read CSV or JSON. Returns `records` to send, and for each its `places`: `{id, line, start, end}`
 * (the employee number, which is not sent, and the place in `text`; JSON has no places).
 * Throws a TableError that says what is wrong with the whole.
 */
export function readRecords(text) {
  const trimmed = text.replace(/^\ufeff/, "").trim();
  if (!trimmed) throw new TableError("There are no records yet: paste some, or open a file.");
  const read = /^[[{]/.test(trimmed) ? fromJson(trimmed) : fromTable(text.replace(/^\ufeff/, " "));
  if (!read.records.length) throw new TableError("There are no records below the header.");
  if (read.records.length > MAX_RECORDS) {
    throw new TableError(`These are ${read.records.length} records; this page takes ${MAX_RECORDS} at a time.`);
  }
  return read;
}

/** Turn a cell's or an input's text into a value: a whole number where the field is one. */
export function toValue(name, text) {
  const isNumber = KINDS.get(name) === "integer" && /^[+-]?\d{1,9}$/.test(text);
  return isNumber ? Number(text) : text;
}

function fromTable(text) {
  const [header, ...rows] = parseTable(text);
  checkHeader(header.cells);
  const width = header.cells.length;
  const uneven = rows.find((row) => row.cells.length !== width);
  if (uneven) {
    throw new TableError(`Line ${uneven.line} has ${uneven.cells.length} cells, but the header has ${width}.`);
  }
  const idAt = header.cells.indexOf(ID);
  return {
    records: rows.map((row) => toRecord(header.cells, row.cells)),
    places: rows.map(({ cells, line, start, end }) => ({ id: cells[idAt], line, start, end })),
    leftOut: header.cells.filter((name) => LEFT_OUT.has(name)),
  };
}

function checkHeader(names) {
  const known = names.filter((name) => KINDS.has(name));
  if (!known.length) {
    throw new TableError("The first line has to be a header of the IBM column names, such as Age, BusinessTravel, DailyRate.");
  }
  const problems = [
    [names.filter((name, at) => names.indexOf(name) !== at), "twice"],
    [names.filter((name) => !KINDS.has(name) && !LEFT_OUT.has(name)).map((name) => name || "(no name)"), "not known"],
    [REQUIRED.filter((name) => !names.includes(name)), "missing"],
  ].filter(([found]) => found.length);
  if (problems.length) {
    throw new TableError(problems.map(([found, what]) => `Columns that are ${what}: ${found.join(", ")}.`).join(" "));
  }
}

function toRecord(names, cells) {
  const entries = names.map((name, at) => [name, cells[at]]);
  return Object.fromEntries(
    entries
      .filter(([name, text]) => !LEFT_OUT.has(name) && text !== "")
      .map(([name, text]) => [name, toValue(name, text)]),
  );
}

function fromJson(text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new TableError("This starts like JSON but is none: look for a missing comma, bracket or quotation mark.");
  }
  const records = Array.isArray(content) ? content : [content];
  const found = new Set(records.flatMap((each) => (isObject(each) ? Object.keys(each) : [])));
  return {
    records: records.map((each) => (isObject(each) ? withoutLeftOut(each) : each)),
    places: records.map((each) => ({ id: isObject(each) ? each[ID] : undefined })),
    leftOut: [...LEFT_OUT].filter((name) => found.has(name)),
  };
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withoutLeftOut(record) {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !LEFT_OUT.has(name)));
}
