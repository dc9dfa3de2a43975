// Asking the service: batches of records out, predictions or a refusal in plain words back.

import contract from "./contract.js";
import { count } from "./words.js";

const TIMEOUT_MS = 60_000;
const TOKEN = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/;

/** What the service, or the way to it, refused; `errors` as in the service's answer. */
export class Refusal extends Error {
  constructor(message, { errors = [], field = null } = {}) {
    super(message);
    this.errors = errors;
    this.field = field;
  }
}

/**
 * Ask about any number of records, in as many requests as it takes.
 * `hypothetical`: the records are nobody's, and say nothing of the population.
 */
export async function predict(key, records, { hypothetical = false } = {}) {
  const headers = { ...credentials(key), "Content-Type": "application/json" };
  if (hypothetical) headers["X-Hypothetical"] = "true";
  const whole = { release: "", predictions: [], drift: undefined };
  const errors = [];
  for (let start = 0; start < records.length; start += contract.maxRecords) {
    const answer = await send(headers, records.slice(start, start + contract.maxRecords));
    errors.push(...(answer.errors ?? []).map((each) => moved(each, start)));
    whole.predictions.push(...(answer.predictions ?? []));
    whole.release = answer.release ?? whole.release;
    whole.drift = answer.drift ?? whole.drift;
  }
  if (errors.length) throw new Refusal(unfit(errors), { errors });
  return whole;
}

function credentials(key) {
  const problem = (text) => new Refusal(text, { field: "key" });
  const text = key.trim();
  if (!text) throw problem("Enter the API key first.");
  // Others cannot be sent in a header.
  if (/[^\x20-\x7e]/.test(text)) throw problem("The API key holds a character that no key has. Copy it again.");
  return TOKEN.test(text) ? { Authorization: `Bearer ${text}` } : { "X-API-Key": text };
}

async function send(headers, records) {
  let response;
  try {
    response = await fetch("/predict", {
      method: "POST",
      headers,
      body: JSON.stringify(records),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new Refusal(unreachable(error));
  }
  const content = await response.json().catch(() => null);
  if (response.ok && Array.isArray(content?.predictions)) {
    if (content.predictions.length === records.length) return content;
  }
  if (response.status === 422 && content?.errors?.length) return { errors: content.errors };
  throw refusal(response, content);
}

function unreachable(error) {
  return error?.name === "TimeoutError"
    ? "The service did not answer within a minute. Try again later."
    : "The service cannot be reached. Check the connection, then try again.";
}

function refusal(response, content) {
  const wait = retryAfter(response.headers.get("Retry-After"));
  switch (response.status) {
    case 401:
      return new Refusal("The service does not know this key or token. Check that it is complete and not expired.", { field: "key" });
    case 403:
      return new Refusal("This key or token may not ask for predictions. Ask the service's operator for access.", { field: "key" });
    case 413:
      return new Refusal("These are too many records for one request. Ask about fewer at a time.");
    case 429:
      return new Refusal(`You have asked too often in a short time. Try again ${wait}.`);
    case 503:
      return new Refusal(`The service is not able to answer at the moment. Try again ${wait}.`);
    default:
      return new Refusal(`The service answered in a way that this page does not expect (status ${response.status}). ${reference(response, content)}`);
  }
}

function retryAfter(header) {
  const seconds = Number(header ?? NaN);
  return Number.isFinite(seconds) && seconds > 0 ? `in ${count(Math.ceil(seconds), "second")}` : "in a moment";
}

function reference(response, content) {
  const id = response.headers.get("X-Request-ID");
  const detail = typeof content?.detail === "string" ? `It says: ${content.detail}. ` : "";
  return `${detail}${id ? `Tell the operator this request's id: ${id}` : "Tell the service's operator."}`;
}

function moved(error, start) {
  return { ...error, record: error.record === null ? null : error.record + start };
}

function unfit(errors) {
  return `Nothing has been predicted: ${count(errors.length, "thing")} in the records ${errors.length === 1 ? "is" : "are"} not as expected.`;
}
