// The page: which form is open, what is asked, what is shown. The key and the records live in the
// page's elements and in this module's memory, and nowhere else.

import { Refusal, predict } from "./client.js";
import contract from "./contract.js";
import { TableError, formatTable } from "./csv.js";
import { byId } from "./dom.js";
import { buildForm, fillForm, readForm } from "./form.js";
import { clearProblems, showFormProblems, showKeyProblem, showProblem, showRecordProblems } from "./problems.js";
import { readRecords } from "./records.js";
import { clearResults, showMany, showOne } from "./results.js";
import { count } from "./words.js";

const MAX_FILE_BYTES = 16 * 1024 * 1024;

let busy = false;
const keyOf = () => byId("key").value;

buildForm(byId("fields"));
for (const id of ["one", "several"]) byId(id).addEventListener("change", () => open(id));
byId("one-form").addEventListener("submit", (event) => submit(event, askOne));
byId("several-form").addEventListener("submit", (event) => submit(event, askSeveral));
byId("example").addEventListener("click", () => change(() => fillForm(contract.example)));
byId("clear").addEventListener("click", () => change(() => fillForm({})));
byId("template").addEventListener("click", () => change(() => putRecords(exampleTable())));
byId("file").addEventListener("change", openFile);
for (const id of ["one-form", "several-form"]) byId(id).addEventListener("input", markStale);

function open(id) {
  byId("one").checked = id === "one";
  byId("several").checked = id === "several";
  byId("one-form").hidden = id !== "one";
  byId("several-form").hidden = id !== "several";
  byId("columns").classList.toggle("wide", id === "several");
  reset("Nothing has been asked yet.");
}

function reset(status) {
  clearProblems();
  clearResults();
  byId("stale").hidden = true;
  byId("status").textContent = status;
}

function change(how) {
  how();
  markStale();
}

function markStale() {
  byId("stale").hidden = byId("results").childElementCount === 0;
}

async function submit(event, ask) {
  event.preventDefault();
  if (busy) return;
  busy = true;
  reset("Asking …");
  try {
    byId("status").textContent = await ask();
    byId("answer-title").focus();
  } catch (error) {
    byId("status").textContent = "";
    if (error instanceof Refusal && error.field === "key") showKeyProblem(error.message);
    else if (error instanceof Refusal || error instanceof TableError) showProblem(error.message);
    else if (!(error instanceof Shown)) throw error;
  } finally {
    busy = false;
  }
}

/** The problem is on the page already. */
class Shown extends Error {}

async function askOne() {
  const record = readForm();
  const answer = await predict(keyOf(), [record]).catch((error) => {
    if (!error.errors?.length) throw error;
    showFormProblems(error.message, error.errors);
    throw new Shown();
  });
  showOne(answer, record, keyOf);
  return "The answer is here.";
}

async function askSeveral() {
  const { records, places, leftOut } = readRecords(byId("records").value);
  const answer = await predict(keyOf(), records).catch((error) => {
    if (!error.errors?.length) throw error;
    showRecordProblems(error.message, error.errors, places);
    throw new Shown();
  });
  showMany(answer, records, places, keyOf);
  const notSent = leftOut.length ? ` Not sent: ${leftOut.join(", ")}.` : "";
  return `The answers for ${count(records.length, "record")} are here.${notSent}`;
}

async function openFile() {
  const [file] = byId("file").files;
  if (!file) return;
  reset("");
  if (file.size > MAX_FILE_BYTES) {
    showProblem("The file is larger than 16 MiB: open a smaller part of it.");
    return;
  }
  putRecords(await file.text());
  byId("status").textContent = "The file's records are in the text field.";
}

function putRecords(text) {
  byId("records").value = text;
}

function exampleTable() {
  const fields = contract.fields.filter((field) => field.asked).map((field) => field.name);
  const names = ["EmployeeNumber", ...fields];
  const example = contract.example;
  const other = { ...example, OverTime: "No", StockOptionLevel: 1, MonthlyIncome: 8200 };
  return formatTable([names, ...[example, other].map((record, at) => names.map((name) => record[name] ?? at + 1))]);
}
