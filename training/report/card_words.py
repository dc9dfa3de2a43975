"""What a model card says in words: use, data, model and limits; paragraphs are single lines."""

from contract.classifier import REASONS
from contract.drift import FALSE_DISCOVERY_RATE, MINIMUM_WINDOW
from contract.employee import FIELD_NAMES, IGNORED, PROTECTED
from contract.outliers import OUTLIER_SHARE, STRIKING_FIELDS
from contract.rules import RULES
from training.drift.detector import JOINT_LEVEL
from training.evaluation.evidence import Evidence
from training.report.card_tables import code, plain

__all__ = ["INTENDED_USE", "LIMITS", "data", "model"]

INTENDED_USE = """## Intended use

For HR professionals who want to know where people may be about to leave, so as to look at the
working conditions of groups and to offer conversations. Every answer names its reasons and its
uncertainty, so that it can be doubted.

Not for:

- any automatic consequence for a person: a person who may disagree looks first;
- hiring, pay, promotion, dismissal, or ranking employees;
- people unlike the table's, of another company, country or time, before it is measured there;
- questions of cause, such as what would happen if somebody were paid more."""

LIMITS = """## Limits

- Associations, not causes: changing a field does not change a decision to leave.
- One table from one moment. The drift detector sees records that changed; that the same records
  lead to another outcome takes new outcomes to see.
- The packaged table is fictional. On it the figures say that the method works, not how well it
  works for a company's own employees.
- The columns of the design were chosen by people who had seen cross-validated figures of the
  packaged table, so that all figures on it are a little optimistic. The held-out part is looked at
  once in a run and decides nothing there, but its records were in those figures too.
- Values beyond the table's are extrapolated; what the table never shows contributes nothing, or
  little.
- Leaving out protected fields does not rule out proxies: other fields go along with them. The
  chapter on fairness measures what comes of it.
- Outliers and drift were planted to be counted. Real errors and real drift take other forms.
- Nothing here is legal advice."""


def data(evidence: Evidence) -> str:
    """Describe the table and its licence."""
    origin = evidence["origin"]
    return (
        f"## Data\n\n{code(origin['source'])}: {origin['rows']:,} rows, "
        f"{origin['leavers']:,} leavers ({origin['leavers'] / origin['rows']:.1%}). A row is an "
        f"employee in {len(FIELD_NAMES)} fields, and whether the employee left. Never read: "
        f"{', '.join(IGNORED)}.\n\nLicence: {plain(origin['licence'])}"
    )


def model(evidence: Evidence) -> str:
    """Describe what the release answers, and from what."""
    return "## Model\n\n" + "\n".join(
        (
            "- **Classifier**: additive logistic regression. A probability is a sum of one "
            "contribution for each field, in log-odds. Its columns form groups (working "
            "conditions, levels, ratios of years, and so on); how strongly each group is shrunk "
            "is learnt from the data.",
            f"- **Inputs**: {_inputs(evidence)}",
            f"- **Reasons**: an answer names the {REASONS} fields that contribute most. They "
            "explain the answer, not the employee.",
            *_answers(evidence),
            "- **Outliers**: how surprising each field is, given the fields that it goes with; "
            f"set to call {OUTLIER_SHARE:.0%} of new records of the same population outliers, and "
            f"naming at most {STRIKING_FIELDS} fields. A record that breaks one of {len(RULES)} "
            "business rules, such as more years in the role than at the company, is one by itself.",
            f"- **Drift**: windows of at least {MINIMUM_WINDOW} records, each field by itself "
            f"(false discovery rate {FALSE_DISCOVERY_RATE:.0%}) and all fields at once (level "
            f"{JOINT_LEVEL:.0%}). Of a smaller window it says that there is not enough data.",
        )
    )


def _inputs(evidence: Evidence) -> str:
    protected = ", ".join(PROTECTED)
    if evidence["origin"]["parameters"]["use_protected"]:
        return (
            f"all {len(FIELD_NAMES)} fields, the protected {protected} among them "
            "(`use_protected`). **Such a release measures what leaving them out costs; it is not "
            "for use.**"
        )
    return (
        f"{len(FIELD_NAMES) - len(PROTECTED)} of the {len(FIELD_NAMES)} fields. {protected} are "
        "protected and no inputs of the classifier; the outlier and drift detectors look at them, "
        "and fairness is measured by them."
    )


def _answers(evidence: Evidence) -> tuple[str, str, str]:
    interval, missed = evidence["interval"], evidence["missed_leaver_cost"]
    return (
        f"- **Interval**: each probability has an interval meant to hold {interval['level']:.0%} "
        f"of true probabilities, from {interval['replicates']:,} fits to resampled tables "
        f"(bootstrap). On {interval['relabellings']:,} tables with made-up outcomes, whose truth "
        f"is known, it held {interval['coverage']:.1%}.",
        f"- **Threshold**: {evidence['threshold']:.4f}, which is 1 / (1 + {missed:g}): overlooking "
        f"a leaver is taken to cost {missed:g} times as much as a needless approach, and from "
        "this probability on an approach costs less than none.",
        "- **Answers**: `at_risk` where the whole interval reaches the threshold, `not_at_risk` "
        "where it stays below, and `refer` where it holds the threshold or the record is an "
        "outlier: a person has to look. For the interval's sake "
        f"{interval['referred']:.1%} of the table are referred.",
    )
