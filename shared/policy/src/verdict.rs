//! Is a key's set of policies enough, and is it too much?

use std::collections::HashMap;

use serde::Serialize;

use crate::budget::Budget;
use crate::context::Context;
use crate::document::Document;
use crate::evaluate::{Asked, Outcome, Request, StatementRef, decide, explain as explain_application, may_allow};
use crate::finding::{Finding, FindingKind, Source, Witness, meaning};
use crate::inclusion::{Compared, Excess, ExcessKind, Scene, compare};
use crate::notice::notices;
use crate::reference::{IAM_ACTIONS, SES_ACTIONS, ceiling, floor};
use crate::severity::Severity;
use crate::subject::{CheckedSubject, Subject};

/// The answer to "may we take this key?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Exactly what is needed.
    Minimal,
    /// All that is needed and nothing that is too much.
    Sufficient,
    /// Something that is needed is missing.
    Insufficient,
    /// Something is allowed that must not be.
    Overprivileged,
}

impl Verdict {
    /// The name used in reports and case files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Sufficient => "sufficient",
            Self::Insufficient => "insufficient",
            Self::Overprivileged => "overprivileged",
        }
    }

    /// Whether a key with this verdict can be taken.
    pub const fn is_acceptable(self) -> bool {
        matches!(self, Self::Minimal | Self::Sufficient)
    }
}

/// All that a check has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// Needed actions that are not allowed for certain.
    pub missing: Vec<String>,
    /// Why each of them is missing.
    pub gaps: Vec<Gap>,
    /// What is too much or may become so, the gravest first; at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many more patterns or findings there are than `findings` lists.
    pub findings_omitted: usize,
    /// What is allowed to be there and still worth knowing, the gravest first.
    pub notices: Vec<Finding>,
    /// For whom the check was made.
    pub subject: CheckedSubject,
}

/// A needed permission that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The needed action.
    pub action: String,
    /// The resource on which it is not allowed for certain.
    pub resource: String,
    /// The statement that denies it; absent if none allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<StatementRef>,
    /// Why, in a sentence.
    pub explanation: String,
}

impl Report {
    /// Every action on a resource that is too much and has a witness.
    pub fn excess(&self) -> impl Iterator<Item = Witness> {
        self.findings.iter().filter(|finding| finding.is_excess()).flat_map(Finding::witnesses)
    }
}

/// The most findings of one check. A person takes the gravest patterns off and asks again.
pub const MAX_FINDINGS: usize = 200;

/// Steps of one check, about a nanosecond each in a release build.
const STEPS: u64 = 24_000_000;

/// Steps for what is missing and for notices, of these.
const STEPS_FOR_REQUESTS: u64 = 8_000_000;

/// Steps for telling what is minimal from what is merely sufficient, besides these: only a key that is not too much
/// comes so far, and how much was spent on that must not make the difference.
const STEPS_FOR_FLOOR: u64 = 12_000_000;

/// 8-byte words that a comparison may hold: 8 MiB.
const WORDS: u64 = 1 << 20;

/// Checks the identity policies of a user against what a key needs (at least) and what the classic policy allows (at
/// most).
///
/// What is needed counts only if it is allowed for certain; what is too much counts if it may be allowed under any
/// condition. Time and memory are bounded whatever the documents hold: beyond the bounds, what is needed is missing,
/// and what is allowed is a finding of kind [`FindingKind::Undecided`].
pub fn check(documents: &[Document], subject: &Subject) -> Report {
    let subject = subject.resolve(documents);
    let scene = &subject.scene;
    let budget = Budget::new(STEPS, WORDS);
    let (gaps, notices) =
        budget.part(STEPS_FOR_REQUESTS, |part| (gaps(documents, &subject, part), notices(documents, scene, part)));
    let mut missing: Vec<String> = gaps.iter().map(|gap| gap.action.clone()).collect();
    missing.dedup();
    let excess = compare(documents, ceiling(), scene, false, &budget);
    let (findings, findings_omitted) = to_findings(documents, &excess);
    let verdict = if findings.iter().any(Finding::is_excess) {
        Verdict::Overprivileged
    } else if !missing.is_empty() {
        Verdict::Insufficient
    } else if findings.is_empty() && is_minimal(documents, &subject) {
        Verdict::Minimal
    } else {
        Verdict::Sufficient
    };
    Report { verdict, missing, gaps, findings, findings_omitted, notices, subject }
}

/// Whether nothing is allowed but what is needed.
fn is_minimal(documents: &[Document], subject: &CheckedSubject) -> bool {
    let (scene, budget) = (&subject.scene, Budget::new(STEPS_FOR_FLOOR, WORDS));
    compare(documents, &floor(&scene.partition, &subject.user_name), scene, true, &budget).found.is_empty()
}

/// What `candidate` allows and `reference` does not, for any two sets of policies: the gravest [`MAX_FINDINGS`]. Empty
/// means that `candidate` is included in `reference`, up to [latent](FindingKind::Latent) findings, which are returned
/// as well.
pub fn excess_over(candidate: &[Document], reference: &[Document], subject: &Subject) -> Vec<Finding> {
    let subject = subject.resolve(candidate);
    let excess = compare(candidate, reference, &subject.scene, false, &Budget::new(STEPS, WORDS));
    to_findings(candidate, &excess).0
}

/// Whether one action on one resource is too much: allowed under some condition, and outside of the classic policy.
pub fn is_excess(documents: &[Document], subject: &Subject, action: &str, resource: &str) -> bool {
    let subject = subject.resolve(documents);
    let request = Request { action, resource, context: &subject.scene.context };
    may_allow(documents, &request) && !may_allow(ceiling(), &request)
}

/// Each needed action with the resources it must be allowed on: SES checks a mail's identity and its configuration set
/// (AWS: Service Authorization Reference, SES v2; the messages of AWS's refusals name either ARN).
fn gaps(documents: &[Document], subject: &CheckedSubject, budget: &Budget) -> Vec<Gap> {
    let scene = &subject.scene;
    let arn = |kind: &str, name: &str| {
        format!("arn:{}:ses:{}:{}:{kind}/{name}", scene.partition, scene.region, scene.account)
    };
    let sets: Vec<String> = subject.configuration_sets.iter().map(|name| arn("configuration-set", name)).collect();
    let identities: Vec<String> = subject.identities.iter().map(|name| arn("identity", name)).collect();
    // One configuration set must do for all actions; the first is shown if none does.
    let set_actions = [SES_ACTIONS[1], SES_ACTIONS[2], SES_ACTIONS[4], SES_ACTIONS[5]];
    let missing = |action: &str, resource: &str| gap(documents, scene, action, resource, budget);
    let usable = |resources: &[String], actions: &[&str]| {
        resources.iter().find(|resource| actions.iter().all(|action| missing(action, resource).is_none())).cloned()
    };
    let set = usable(&sets, &set_actions).unwrap_or_else(|| sets[0].clone());
    let identity = usable(&identities, &set_actions[..2]).unwrap_or_else(|| identities[0].clone());

    let mut gaps = Vec::new();
    for action in SES_ACTIONS.into_iter().chain(IAM_ACTIONS) {
        let resources: Vec<&str> = match action {
            "ses:SendEmail" | "ses:SendRawEmail" => vec![&identity, &set],
            "ses:CreateConfigurationSet" | "ses:CreateConfigurationSetEventDestination" => vec![&set],
            "iam:GetUser" | "iam:DeleteAccessKey" => vec![&subject.user_arn],
            _ => vec!["*"],
        };
        gaps.extend(resources.into_iter().filter_map(|resource| missing(action, resource)));
    }
    gaps
}

/// Why the action is not allowed for certain; `None` if it is.
fn gap(documents: &[Document], scene: &Scene, action: &str, resource: &str, budget: &Budget) -> Option<Gap> {
    let context = with_region(scene, action);
    let request = Request { action, resource, context: &context };
    let asked = Asked::new(&request);
    let decision = decide(documents, &asked, budget);
    let (denied_by, explanation) = match decision {
        _ if budget.is_spent() => {
            (None, format!("The policies are too intricate to decide whether {action} on {resource} is allowed."))
        }
        (Outcome::Allow, _) => return None,
        (Outcome::ExplicitDeny, Some((document, index, statement))) => {
            let by = StatementRef::new(document, index, statement);
            let (_, reason) = explain_application(statement, &asked, budget);
            let explanation = format!("{action} on {resource} is denied by {by}: {reason}.");
            (Some(by), explanation)
        }
        _ => (None, format!("No statement allows {action} on {resource} for certain.")),
    };
    Some(Gap { action: action.to_owned(), resource: resource.to_owned(), denied_by, explanation })
}

/// IAM answers in one region of its partition, SES where the mail is sent.
fn with_region(scene: &Scene, action: &str) -> Context {
    let region = match (action.starts_with("iam:"), scene.partition.as_str()) {
        (false, _) => scene.region.as_str(),
        (true, "aws") => "us-east-1",
        (true, "aws-cn") => "cn-north-1",
        (true, "aws-us-gov") => "us-gov-west-1",
        (true, _) => return scene.context.clone(),
    };
    scene.context.clone().with("aws:RequestedRegion", region)
}

/// One finding for each pattern and severity, with its actions as witnesses, and how many are left off.
fn to_findings(documents: &[Document], excess: &Compared) -> (Vec<Finding>, usize) {
    let mut findings: Vec<Finding> = Vec::new();
    let mut places: HashMap<_, usize> = HashMap::new();
    for excess in &excess.found {
        let severity = severity(excess);
        let kind = match excess.kind {
            ExcessKind::Latent => FindingKind::Latent,
            ExcessKind::Undecided | ExcessKind::Unfinished => FindingKind::Undecided,
            _ => FindingKind::Excess,
        };
        // A sweeping pattern is one finding, whatever it allows; of others each severity is.
        let pattern = excess.pattern.as_deref();
        let apart = pattern.is_some_and(|pattern| !is_sweeping(pattern)).then_some(severity);
        let place = *places
            .entry((excess.document, excess.statement, pattern, kind, excess.conditional, apart))
            .or_insert(findings.len());
        if let Some(finding) = findings.get_mut(place) {
            if let Some(resource) = &excess.resource {
                finding.also.push(Witness { action: excess.action.clone(), resource: resource.clone() });
            }
            finding.severity = finding.severity.max(severity);
            continue;
        }
        let statement = StatementRef::new(
            excess.document,
            excess.statement,
            &documents[excess.document].statements()[excess.statement],
        );
        findings.push(Finding {
            kind,
            severity,
            action: excess.action.clone(),
            resource: excess.resource.clone(),
            conditional: excess.conditional,
            source: Source::Static,
            explanation: explain(excess, &statement),
            statement: Some(statement),
            pattern: excess.pattern.clone(),
            also: Vec::new(),
        });
    }
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.is_excess())));
    let omitted = excess.omitted + findings.len().saturating_sub(MAX_FINDINGS);
    findings.truncate(MAX_FINDINGS);
    (findings, omitted)
}

/// `*`, `*:*` and `service:*`.
fn is_sweeping(pattern: &str) -> bool {
    pattern == "*" || pattern.ends_with(":*")
}

/// The severity of the action, raised by the pattern's breadth.
fn severity(excess: &Excess) -> Severity {
    if matches!(excess.kind, ExcessKind::Latent | ExcessKind::UnknownService | ExcessKind::NoSuchAction) {
        return Severity::Low;
    }
    match excess.pattern.as_deref() {
        Some("*" | "*:*") => Severity::Critical,
        Some(pattern) if is_sweeping(pattern) => excess.severity.max(Severity::High),
        _ => excess.severity,
    }
}

fn explain(excess: &Excess, statement: &StatementRef) -> String {
    let mut place = statement.to_string();
    place[..1].make_ascii_uppercase();
    let by = match &excess.pattern {
        Some(pattern) if pattern.eq_ignore_ascii_case(&excess.action) => String::new(),
        Some(pattern) => format!(" through the pattern \"{pattern}\""),
        None => " because NotAction covers everything that it does not list".to_owned(),
    };
    let only = if excess.conditional { ", if its conditions hold," } else { "" };
    let (action, on) =
        (&excess.action, excess.resource.as_deref().map(|resource| format!(" on {resource}")).unwrap_or_default());
    match excess.kind {
        ExcessKind::Known | ExcessKind::Unlisted => {
            format!("{place} allows{only} {action}{on}{by}: {} Remove it.", meaning(action))
        }
        ExcessKind::UnknownService => {
            format!(
                "{place} allows{only} {action}{on}{by}. No service with this prefix is known (SES v2 uses \"ses:\"): a typo, or newer than our list. Remove it."
            )
        }
        ExcessKind::NoSuchAction => format!(
            "{place} allows{only} {action}{on}{by}. The service has no such action: a typo, or newer than our list. Remove it."
        ),
        ExcessKind::Latent => format!(
            "{place} would allow{only} future actions such as {action}{by}. It matches nothing else today; write the action out."
        ),
        ExcessKind::Undecided => format!(
            "{place} is too intricate to decide what it allows{by}, so it counts as too much. Write it with fewer wildcards."
        ),
        ExcessKind::Unfinished => {
            "The policies are too many or too intricate to decide all that they allow, so they count as too much. Write fewer statements, with \
             fewer wildcards."
                .to_owned()
        }
    }
}
