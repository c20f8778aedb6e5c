//! Is a key's set of policies enough, and is it too much?

use std::collections::HashMap;

use serde::Serialize;

use crate::context::Context;
use crate::document::Document;
use crate::evaluate::{Request, StatementRef, evaluate, is_allowed, may_allow};
use crate::finding::{Finding, FindingKind, Source, Witness, meaning};
use crate::inclusion::{Excess, ExcessKind, Scene, compare};
use crate::notice::notices;
use crate::reference::{IAM_ACTIONS, SES_ACTIONS, ceiling, floor};
use crate::severity::Severity;
use crate::subject::{CheckedSubject, Subject};

/// The answer to "may we take this key?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Sufficient => "sufficient",
            Self::Insufficient => "insufficient",
            Self::Overprivileged => "overprivileged",
        }
    }

    /// Whether a key with this verdict can be taken.
    #[must_use]
    pub const fn is_acceptable(self) -> bool {
        matches!(self, Self::Minimal | Self::Sufficient)
    }
}

/// All that a check has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// Needed actions that are not allowed for certain.
    pub missing: Vec<String>,
    /// Why each of them is missing.
    pub gaps: Vec<Gap>,
    /// What is too much or may become so, the gravest first.
    pub findings: Vec<Finding>,
    /// What is allowed to be there and still worth knowing, the gravest first.
    pub notices: Vec<Finding>,
    /// For whom the check was made.
    pub subject: CheckedSubject,
}

/// A needed permission that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// Checks the identity policies of a user against what a key needs (at least) and what the classic policy allows (at most).
///
/// What is needed counts only if it is allowed for certain; what is too much counts if it may be allowed under any condition. Time and memory are
/// bounded whatever the documents hold: what cannot be decided within the bounds is a finding of kind [`FindingKind::Undecided`].
#[must_use]
pub fn check(documents: &[Document], subject: &Subject) -> Report {
    let subject = subject.resolve(documents);
    let scene = &subject.scene;
    let gaps = gaps(documents, &subject);
    let mut missing: Vec<String> = gaps.iter().map(|gap| gap.action.clone()).collect();
    missing.dedup();
    let excess = compare(documents, &ceiling(&scene.partition), scene, false);
    let findings = to_findings(documents, &excess, scene);
    let verdict = if findings.iter().any(Finding::is_excess) {
        Verdict::Overprivileged
    } else if !missing.is_empty() {
        Verdict::Insufficient
    } else if findings.is_empty()
        && compare(documents, &floor(&scene.partition, &subject.user_name), scene, true).is_empty()
    {
        Verdict::Minimal
    } else {
        Verdict::Sufficient
    };
    Report { verdict, missing, gaps, findings, notices: notices(documents, scene), subject }
}

/// What `candidate` allows and `reference` does not, for any two sets of policies. Empty means that `candidate` is included in `reference`, up to
/// [latent](FindingKind::Latent) findings, which are returned as well.
#[must_use]
pub fn excess_over(candidate: &[Document], reference: &[Document], subject: &Subject) -> Vec<Finding> {
    let subject = subject.resolve(candidate);
    to_findings(candidate, &compare(candidate, reference, &subject.scene, false), &subject.scene)
}

/// Whether one action on one resource is too much: allowed under some condition, and outside of the classic policy.
#[must_use]
pub fn is_excess(documents: &[Document], subject: &Subject, action: &str, resource: &str) -> bool {
    let subject = subject.resolve(documents);
    let request = Request { action, resource, context: &subject.scene.context };
    may_allow(documents, &request) && !may_allow(&ceiling(&subject.scene.partition), &request)
}

/// Each needed action with the resources it must be allowed on: SES checks a mail's identity and its configuration set
/// (AWS: Service Authorization Reference, SES v2; the messages of AWS's refusals name either ARN).
fn gaps(documents: &[Document], subject: &CheckedSubject) -> Vec<Gap> {
    let scene = &subject.scene;
    let arn = |kind: &str, name: &str| {
        format!("arn:{}:ses:{}:{}:{kind}/{name}", scene.partition, scene.region, scene.account)
    };
    let sets: Vec<String> = subject.configuration_sets.iter().map(|name| arn("configuration-set", name)).collect();
    let identities: Vec<String> = subject.identities.iter().map(|name| arn("identity", name)).collect();
    // One configuration set must do for all actions; the first is shown if none does.
    let set_actions = [SES_ACTIONS[1], SES_ACTIONS[2], SES_ACTIONS[4], SES_ACTIONS[5]];
    let allowed = |action: &str, resource: &str| {
        is_allowed(documents, &Request { action, resource, context: &with_region(scene, action) })
    };
    let usable = |resources: &[String], actions: &[&str]| {
        resources.iter().find(|resource| actions.iter().all(|action| allowed(action, resource))).cloned()
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
        gaps.extend(resources.into_iter().filter_map(|resource| gap(documents, scene, action, resource)));
    }
    gaps
}

fn gap(documents: &[Document], scene: &Scene, action: &str, resource: &str) -> Option<Gap> {
    let context = with_region(scene, action);
    let request = Request { action, resource, context: &context };
    if is_allowed(documents, &request) {
        return None;
    }
    let decision = evaluate(documents, &request);
    let reason_of = |reference: &StatementRef| {
        decision
            .considered
            .iter()
            .find(|considered| considered.statement == *reference)
            .map_or("", |considered| considered.reason.as_str())
    };
    let explanation = match &decision.by {
        Some(deny) => format!("{action} on {resource} is denied by {deny}: {}.", reason_of(deny)),
        None => format!("No statement allows {action} on {resource} for certain."),
    };
    Some(Gap { action: action.to_owned(), resource: resource.to_owned(), denied_by: decision.by, explanation })
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

/// One finding for each pattern and severity, with its actions as witnesses.
fn to_findings(documents: &[Document], excess: &[Excess], scene: &Scene) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut places: HashMap<_, usize> = HashMap::new();
    for excess in excess {
        let severity = severity(documents, excess, scene);
        let kind = match excess.kind {
            ExcessKind::Latent => FindingKind::Latent,
            ExcessKind::Undecided => FindingKind::Undecided,
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
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// `*`, `*:*` and `service:*`.
fn is_sweeping(pattern: &str) -> bool {
    pattern == "*" || pattern.ends_with(":*")
}

/// The severity of the action, raised by the pattern's breadth and lowered where only the own user is concerned.
fn severity(documents: &[Document], excess: &Excess, scene: &Scene) -> Severity {
    if matches!(excess.kind, ExcessKind::Latent | ExcessKind::UnknownService | ExcessKind::NoSuchAction) {
        return Severity::Low;
    }
    match excess.pattern.as_deref() {
        Some("*" | "*:*") => return Severity::Critical,
        Some(pattern) if is_sweeping(pattern) => return excess.severity.max(Severity::High),
        _ => {}
    }
    let lower = excess.action.to_ascii_lowercase();
    let allows = |resource: String| {
        may_allow(documents, &Request { action: &excess.action, resource: &resource, context: &scene.context })
    };
    let iam = |path: &str| format!("arn:{}:iam::{}:{path}", scene.partition, scene.account);
    if lower == "sts:assumerole" && !(allows(iam("role/one")) && allows(iam("role/other"))) {
        return Severity::High;
    }
    let own = excess.resource.as_deref() == Some(&iam(&format!("user/{}", scene.user_with_path)));
    if lower.starts_with("iam:get") && excess.severity == Severity::Medium && own && !allows(iam("user/other")) {
        return Severity::Low;
    }
    excess.severity
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
    }
}
