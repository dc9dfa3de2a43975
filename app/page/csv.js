// Reading and writing tables as text.

const SEPARATORS = ["\t", ";", ","];

/** A table that cannot be read; the message says where. */
export class TableError extends Error {}

/**
 * Read a table whose cells commas, semicolons or tabs separate: whichever its first line has most.
 * Returns `{cells, line, start, end}` for each row that is not blank: its line and place in `text`.
 */
export function parseTable(text) {
  const cell = cellPattern(separatorOf(text));
  const rows = [];
  let cells = [], line = 1, rowLine = 1, rowStart = 0, position = 0;
  while (true) {
    cell.lastIndex = position;
    const found = cell.exec(text);
    if (!found) throw new TableError(`The quotation marks in line ${line} do not fit together.`);
    const [whole, quoted, plain, end] = found;
    cells.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
    position += whole.length;
    line += whole.match(/\r\n|\n|\r/g)?.length ?? 0;
    if (end === "" || /[\r\n]/.test(end)) {
      if (cells.some((each) => each !== "")) {
        rows.push({ cells, line: rowLine, start: rowStart, end: position - end.length });
      }
      [cells, rowLine, rowStart] = [[], line, position];
      if (end === "") return rows;
    }
  }
}

/** Write rows of cells as CSV with commas. */
export function formatTable(rows) {
  return rows.map((row) => row.map(formatCell).join(",") + "\r\n").join("");
}

function separatorOf(text) {
  const [first] = text.replace(/"[^"]*"/g, "").trimStart().split(/[\r\n]/, 1);
  const counts = SEPARATORS.map((each) => first.split(each).length);
  return SEPARATORS[counts.indexOf(Math.max(...counts))];
}

function cellPattern(separator) {
  const blank = separator === "\t" ? " *" : "[ \\t]*";
  return new RegExp(`(?:${blank}"([^"]*(?:""[^"]*)*)"${blank}|([^"${separator}\\r\\n]*))(${separator}|\\r\\n|\\n|\\r|$)`, "y");
}

function formatCell(value) {
  let text = String(value ?? "");
  // A spreadsheet would run it as a formula.
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
