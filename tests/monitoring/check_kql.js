// Parses and analyses every query on standard input, a JSON object of name to text, with
// Microsoft's own language service, against the tables that the queries read. Prints the errors and
// warnings as a JSON object of name to texts.
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { KustoCode, GlobalState } = Kusto.Language;
const { TableSymbol, DatabaseSymbol } = Kusto.Language.Symbols;

const TABLES = [
  "ContainerLogV2: (TimeGenerated: datetime, _ResourceId: string, PodNamespace: string, " +
    "PodName: string, ContainerName: string, LogMessage: dynamic, LogSource: string)",
  "KubePodInventory: (TimeGenerated: datetime, _ResourceId: string, Namespace: string, " +
    "Name: string, ContainerName: string, ContainerRestartCount: int, PodRestartCount: int, " +
    "PodCreationTimeStamp: datetime, ContainerLastStatus: string, PodStatus: string)",
];

function globals() {
  const tables = TABLES.map((text) => {
    const [name, columns] = text.split(/: (.*)/s);
    return TableSymbol.From(columns).WithName(name);
  });
  const database = new DatabaseSymbol.$ctor1("logs", tables);
  return GlobalState.Default.WithDatabase(database);
}

function problems(text, state) {
  const found = KustoCode.ParseAndAnalyze(text, state).GetDiagnostics();
  const texts = [];
  for (let at = 0; at < found.Count; at += 1) {
    const each = found.getItem(at);
    if (each.Severity !== "Suggestion" && each.Severity !== "Information") {
      const near = text.slice(each.Start, each.Start + 40).split("\n")[0];
      texts.push(`${each.Severity}: ${each.Message} (at: ${near})`);
    }
  }
  return texts;
}

const queries = JSON.parse(require("fs").readFileSync(0, "utf8"));
const state = globals();
const answer = {};
for (const [name, text] of Object.entries(queries)) {
  answer[name] = problems(text, state);
}
console.log(JSON.stringify(answer));
