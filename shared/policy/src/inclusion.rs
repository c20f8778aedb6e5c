//! Does one set of policies allow anything that another does not?
//!
//! Actions and resources are compared as languages, exactly for `*` and `?`; conditions are opaque, and equal only when
//! written alike. What is not known is taken against the candidate: its allows at their widest, its denies at their
//! narrowest, the reference the other way round.
//!
//! For every group of actions that the same statements cover, all resource patterns involved are read together
//! (a subset construction); each set of patterns that some resource matches is decided once. Cheap proofs come first:
//! most groups are settled by one covering pattern, or by one concrete resource that shows the excess.

mod automaton;
mod listed;
mod resource;
mod rule;
mod unlisted;

use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) use self::resource::fill;
use self::resource::{Answer, Question, Selected};
use self::rule::{Relevant, Rules};
use self::unlisted::Names;
use crate::action::ActionPattern;
use crate::budget::{Budget, Exhausted};
use crate::catalogue::Universe;
use crate::context::Context;
use crate::document::{Document, Effect};
use crate::evaluate::{Asked, Request, all_statements, may_grant, surely_refuses};
use crate::severity::Severity;
use crate::verdict::MAX_FINDINGS;

/// Steps of one construction, so that one hard question does not leave the others unanswered.
const STEPS_EACH: u64 = 8_000_000;

/// Actions listed for one action pattern; the gravest come first.
const MAX_ACTIONS: usize = 24;

/// What the comparison needs to know to make its witnesses look real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) user_with_path: String,
    /// Known context keys; partial.
    pub(crate) context: Context,
}

/// What a comparison has found.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) found: Vec<Excess>,
    /// How many patterns at fault `found` leaves out.
    pub(crate) omitted: usize,
}

/// Something the candidate allows and the reference does not.
#[derive(Clone, Debug)]
pub(crate) struct Excess {
    pub(crate) document: usize,
    pub(crate) statement: usize,
    /// The action pattern at fault; none for `NotAction`.
    pub(crate) pattern: Option<String>,
    pub(crate) kind: ExcessKind,
    pub(crate) action: String,
    /// A resource that shows it; none if undecided.
    pub(crate) resource: Option<String>,
    pub(crate) conditional: bool,
    pub(crate) severity: Severity,
}

/// Why something is excess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExcessKind {
    /// The action exists.
    Known,
    /// The service exists; the action is not listed, and may exist.
    Unlisted,
    /// The service is not known.
    UnknownService,
    /// All actions of the service are listed and the pattern matches none: a typo, or newer than the list.
    NoSuchAction,
    /// Nothing that exists today, but the pattern would match future names.
    Latent,
    /// Too expensive to decide.
    Undecided,
    /// The budget was spent before everything was looked at.
    Unfinished,
}

/// Compares; with `first` set it stops at the first excess of any kind.
pub(crate) fn compare(
    candidate: &[Document],
    reference: &[Document],
    scene: &Scene,
    first: bool,
    budget: &Budget,
) -> Compared {
    let effort =
        |documents: &[Document]| -> usize { all_statements(documents).map(|found| rule::effort(found.2)).sum() };
    if budget.spend(effort(candidate) + effort(reference)).is_err() {
        return Compared { found: unfinished(candidate).into_iter().collect(), omitted: 0 };
    }
    let rules = Rules::new(candidate, reference, &scene.context);
    if rules.is_plainly_included() {
        return Compared::default();
    }
    let mut comparison = Comparison {
        denies: rules.numbers(|rule| rule.candidate && !rule.allows && !rule.is_conditional()),
        rules,
        scene,
        first,
        budget,
        found: Vec::new(),
        counts: BTreeMap::new(),
        excess: 0,
        latent: 0,
        universe_globs: BTreeMap::new(),
        relevant: BTreeMap::new(),
        settled: BTreeMap::new(),
        latest: None,
        names: BTreeMap::new(),
    };
    if comparison.known_actions().and_then(|()| comparison.unknown_actions()).is_err() {
        comparison.found.extend(unfinished(candidate));
    }
    let beyond = |patterns: usize| patterns.saturating_sub(MAX_FINDINGS);
    Compared { omitted: beyond(comparison.excess) + beyond(comparison.latent), found: comparison.found }
}

struct Comparison<'c> {
    rules: Rules<'c>,
    /// The candidate's denies without conditions.
    denies: Vec<usize>,
    scene: &'c Scene,
    first: bool,
    budget: &'c Budget,
    found: Vec<Excess>,
    /// How many excess actions there are by what is to blame.
    counts: BTreeMap<(usize, Blamed), usize>,
    /// How many of these are excess.
    excess: usize,
    /// How many of these are latent.
    latent: usize,
    /// The resources of a universe in a partition.
    universe_globs: BTreeMap<(usize, String), Rc<[usize]>>,
    /// The rules that can cover actions of a service.
    relevant: BTreeMap<String, Rc<[Relevant]>>,
    /// Whether one statement settles all unlisted names of a service that a pattern matches.
    settled: BTreeMap<(String, Blamed), bool>,
    /// The statements that were asked about last: the same are usually asked about again.
    latest: Option<(Vec<usize>, Selected)>,
    /// Sets of statements that unlisted names of a service can have, each with a name, by service and pattern.
    names: BTreeMap<(String, Blamed), Rc<Names>>,
}

/// What in a rule allows an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blamed {
    /// The action pattern with this number.
    Pattern(usize),
    /// That `NotAction` does not list it.
    NotAction,
}

impl Comparison<'_> {
    const fn is_done(&self) -> bool {
        self.first && !self.found.is_empty()
    }

    fn pattern(&self, blamed: Blamed) -> Option<&ActionPattern> {
        match blamed {
            Blamed::Pattern(number) => Some(self.rules.actions[number]),
            Blamed::NotAction => None,
        }
    }

    /// The rules that can cover an action of the service, each with those of its patterns that can.
    fn relevant_rules(&mut self, service: &str) -> Result<Rc<[Relevant]>, Exhausted> {
        if let Some(relevant) = self.relevant.get(service) {
            return Ok(Rc::clone(relevant));
        }
        self.budget.spend(5 * self.rules.size)?;
        let relevant = self.rules.relevant(service);
        self.budget.keep(relevant.iter().map(|rule| 4 + rule.patterns.len()).sum())?;
        let relevant: Rc<[Relevant]> = relevant.into();
        self.relevant.insert(service.to_owned(), Rc::clone(&relevant));
        Ok(relevant)
    }

    /// Puts one question within its part of the budget.
    fn put(
        &self,
        rule: usize,
        selected: &Selected,
        universe: &[usize],
        kinds: Option<&Universe>,
    ) -> Result<Answer, Exhausted> {
        let colons = kinds.is_none_or(|kinds| kinds.colons);
        let answer = self.budget.part(STEPS_EACH, |part| {
            Question::new(&self.rules, selected, rule, colons).decide(universe, kinds, self.scene, part)
        });
        self.budget.check()?;
        Ok(answer)
    }

    /// Whatever the construction says, a witness is only shown if the evaluator agrees.
    fn confirm(&self, rule: usize, action: &str, answer: Answer) -> Result<Answer, Exhausted> {
        match &answer {
            Answer::Exceeds { resource, .. } if !self.allows(rule, action, resource)? => Ok(Answer::Undecided),
            _ => Ok(answer),
        }
    }

    /// What [`may_allow`](crate::may_allow) says, of this statement alone and all denies.
    fn allows(&self, rule: usize, action: &str, resource: &str) -> Result<bool, Exhausted> {
        let request = Request { action, resource, context: &self.scene.context };
        let asked = Asked::new(&request);
        let refuses = |deny: &usize| surely_refuses(self.rules.rules[*deny].statement, &asked, self.budget);
        let allows =
            may_grant(self.rules.rules[rule].statement, &asked, self.budget) && !self.denies.iter().any(refuses);
        self.budget.check()?;
        Ok(allows)
    }

    /// Lower where a statement covers a single role, or only the own user.
    fn severity(
        &self,
        rule: usize,
        action: &str,
        severity: Severity,
        resource: Option<&str>,
    ) -> Result<Severity, Exhausted> {
        let iam = |path: &str| format!("arn:{}:iam::{}:{path}", self.scene.partition, self.scene.account);
        let lower = action.to_ascii_lowercase();
        if lower == "sts:assumerole" {
            let every_role =
                self.allows(rule, action, &iam("role/one"))? && self.allows(rule, action, &iam("role/other"))?;
            return Ok(if every_role { severity } else { Severity::High });
        }
        let own = resource == Some(&iam(&format!("user/{}", self.scene.user_with_path)));
        if lower.starts_with("iam:get") && severity == Severity::Medium && own {
            return Ok(if self.allows(rule, action, &iam("user/other"))? { severity } else { Severity::Low });
        }
        Ok(severity)
    }

    fn record(
        &mut self,
        rule: usize,
        blamed: Blamed,
        action: &str,
        severity: Severity,
        kind: ExcessKind,
        answer: &Answer,
    ) -> Result<(), Exhausted> {
        let (kind, resource, conditional) = match answer {
            Answer::Included => return Ok(()),
            Answer::Exceeds { resource, conditional } => (kind, Some(resource.clone()), *conditional),
            Answer::Undecided => (ExcessKind::Undecided, None, self.rules.rules[rule].is_conditional()),
        };
        let count = self.counts.entry((rule, blamed)).or_default();
        *count += 1;
        // Apart, so that no number of latent findings crowds out what is excess today.
        let patterns = if kind == ExcessKind::Latent { &mut self.latent } else { &mut self.excess };
        *patterns += usize::from(*count == 1);
        if *patterns > MAX_FINDINGS {
            return Ok(());
        }
        let severity = self.severity(rule, action, severity, resource.as_deref())?;
        let by = &self.rules.rules[rule];
        self.found.push(Excess {
            document: by.document,
            statement: by.index,
            pattern: match blamed {
                Blamed::Pattern(number) => by.spelling(number).map(str::to_owned),
                Blamed::NotAction => None,
            },
            kind,
            action: action.to_owned(),
            resource,
            conditional,
            severity,
        });
        Ok(())
    }
}

/// The budget was spent before everything was looked at: every allow is in doubt, and the first stands for all.
fn unfinished(candidate: &[Document]) -> Option<Excess> {
    let (document, index, statement) = all_statements(candidate).find(|found| found.2.effect() == Effect::Allow)?;
    Some(Excess {
        document,
        statement: index,
        pattern: None,
        kind: ExcessKind::Unfinished,
        action: statement.actions().next().unwrap_or("*").to_owned(),
        resource: None,
        conditional: !statement.conditions().is_empty(),
        severity: Severity::High,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Subject;
    use crate::reference::ceiling;

    const STEPS: u64 = 1 << 40;

    /// A policy that allows an action on each of so many roles.
    fn roles(action: &str, count: usize) -> Vec<Document> {
        let allow = |number: usize| {
            format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"arn:aws:iam::*:role/r{number}"}}"#)
        };
        let statements: Vec<String> = (0..count).map(allow).collect();
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
        vec![Document::parse_with_limit(text, usize::MAX).unwrap()]
    }

    fn compare_within(documents: &[Document], steps: u64) -> (Compared, u64) {
        let (subject, budget) = (Subject::default().resolve(documents), Budget::new(steps, 1 << 20));
        let compared = compare(documents, ceiling(), &subject.scene, false, &budget);
        (compared, budget.spent_of(steps))
    }

    #[test]
    fn the_cost_of_looking_at_findings_grows_with_their_number_and_not_faster() {
        for action in ["sts:AssumeRole", "iam:GetRole", "iam:*Role", "sts:*e"] {
            let [(few, cheap), (many, dear)] = [100, 1_000].map(|count| compare_within(&roles(action, count), STEPS));
            assert_eq!((few.omitted, many.omitted), (0, 1_000 - MAX_FINDINGS), "{action}");
            assert!(dear < 25 * cheap, "{action}: {cheap} and {dear}");
        }
    }

    #[test]
    fn what_is_not_looked_at_is_in_doubt() {
        let documents = roles("iam:*Role", 100);
        let (all, needed) = compare_within(&documents, STEPS);
        assert!(all.found.iter().all(|excess| excess.kind == ExcessKind::Known));
        for part in 0..8 {
            let (some, _) = compare_within(&documents, needed * part / 8);
            assert_eq!(some.found.last().map(|excess| excess.kind), Some(ExcessKind::Unfinished), "{part} of 8");
            assert!(some.found.len() <= all.found.len());
        }
    }
}
