//! Does one set of policies allow anything that another does not?
//!
//! Actions and resources are compared as languages, exactly for `*` and `?`; conditions are opaque, and equal only when written alike. What is
//! not known is taken against the candidate: its allows at their widest, its denies at their narrowest, the reference the other way round.
//!
//! For every group of actions that the same statements cover, all resource patterns involved are read together
//! (a subset construction); each set of patterns that some resource matches is decided once. Cheap proofs come first:
//! most groups are settled by one covering pattern, or by one concrete resource that shows the excess.

mod automaton;
mod budget;
mod listed;
mod resource;
mod rule;
mod unlisted;

use std::collections::BTreeMap;
use std::rc::Rc;

use self::budget::Budget;
pub(crate) use self::resource::fill;
use self::resource::{Answer, Question, Selected};
use self::rule::Rules;
use self::unlisted::Names;
use crate::catalogue::Universe;
use crate::context::Context;
use crate::document::Document;
use crate::evaluate::{Request, may_allow};
use crate::severity::Severity;

/// Steps of one comparison, about a nanosecond each.
const STEPS: u64 = 20_000_000;

/// 8-byte words that one construction may hold: 8 MiB.
const WORDS: u64 = 1 << 20;

/// Steps of one construction, so that one hard question does not leave the others unanswered.
const STEPS_EACH: u64 = 8_000_000;

/// Actions listed for one action pattern; the gravest come first.
const MAX_ACTIONS: usize = 24;

/// What the comparison needs to know to make its witnesses look real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) user_with_path: String,
    /// Known context keys; partial.
    pub(crate) context: Context,
}

/// Something the candidate allows and the reference does not.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
}

/// Compares; with `first` set it stops at the first excess of any kind.
pub(crate) fn compare(candidate: &[Document], reference: &[Document], scene: &Scene, first: bool) -> Vec<Excess> {
    let rules = Rules::new(candidate, reference, &scene.context);
    if rules.is_plainly_included() {
        return Vec::new();
    }
    let mut comparison = Comparison {
        candidate,
        rules,
        scene,
        first,
        budget: Budget::new(STEPS, WORDS),
        found: Vec::new(),
        counts: BTreeMap::new(),
        universe_globs: BTreeMap::new(),
        latest: None,
        names: BTreeMap::new(),
    };
    comparison.known_actions();
    comparison.unknown_actions();
    comparison.found
}

struct Comparison<'c> {
    candidate: &'c [Document],
    rules: Rules<'c>,
    scene: &'c Scene,
    first: bool,
    budget: Budget,
    found: Vec<Excess>,
    /// How many excess actions a rule's action pattern has; `usize::MAX` is `NotAction`.
    counts: BTreeMap<(usize, usize), usize>,
    universe_globs: BTreeMap<usize, Vec<usize>>,
    /// The statements that were asked about last: the same are usually asked about again.
    latest: Option<(Vec<usize>, Selected)>,
    /// Sets of statements that unlisted names of a service can have, each with a name, by service and pattern.
    names: BTreeMap<(String, usize), Rc<Names>>,
}

impl Comparison<'_> {
    const fn is_done(&self) -> bool {
        self.first && !self.found.is_empty()
    }

    /// The rules that can cover an action of the service, each with those of its patterns that can.
    fn relevant_rules(&self, service: &str) -> Vec<(usize, Vec<usize>)> {
        let mut relevant = Vec::new();
        for (number, rule) in self.rules.rules.iter().enumerate() {
            let patterns: Vec<usize> = rule
                .patterns
                .iter()
                .copied()
                .filter(|pattern| self.rules.actions[*pattern].service().is_none_or(|own| own == service))
                .collect();
            if !patterns.is_empty() || rule.statement.excludes_actions() {
                relevant.push((number, patterns));
            }
        }
        relevant
    }

    /// Puts one question within its part of the budget.
    fn put(&mut self, rule: usize, selected: &Selected, universe: &[usize], kinds: Option<&Universe>) -> Answer {
        let colons = kinds.is_none_or(|kinds| kinds.colons);
        let given = self.budget.part(STEPS_EACH);
        let mut part = given.clone();
        let answer = Question::new(&self.rules, selected, rule, colons).decide(universe, kinds, self.scene, &mut part);
        self.budget.settle(&given, &part);
        answer
    }

    /// Whatever the construction says, a witness is only shown if the evaluator agrees.
    fn confirm(&self, action: &str, answer: Answer) -> Answer {
        match &answer {
            Answer::Exceeds { resource, .. }
                if !may_allow(self.candidate, &Request { action, resource, context: &self.scene.context }) =>
            {
                Answer::Undecided
            }
            _ => answer,
        }
    }

    fn record(
        &mut self,
        rule: usize,
        pattern: usize,
        action: &str,
        severity: Severity,
        kind: ExcessKind,
        answer: &Answer,
    ) {
        let (kind, resource, conditional) = match answer {
            Answer::Included => return,
            Answer::Exceeds { resource, conditional } => (kind, Some(resource.clone()), *conditional),
            Answer::Undecided => (ExcessKind::Undecided, None, self.rules.rules[rule].is_conditional()),
        };
        let (document, statement) = (self.rules.rules[rule].document, self.rules.rules[rule].index);
        let raw = self.rules.actions.get(pattern).map(|own| {
            let same = |raw: &&crate::action::ActionPattern| raw.service() == own.service() && raw.name() == own.name();
            self.rules.rules[rule]
                .statement
                .actions
                .patterns
                .iter()
                .find(same)
                .map_or(own.raw(), |raw| raw.raw())
                .to_owned()
        });
        *self.counts.entry((rule, pattern)).or_default() += 1;
        self.found.push(Excess {
            document,
            statement,
            pattern: raw,
            kind,
            action: action.to_owned(),
            resource,
            conditional,
            severity,
        });
    }

    /// The budget does not even suffice to look at the actions: every allow is in doubt.
    fn undecided(&mut self) {
        for number in 0..self.rules.rules.len() {
            let rule = &self.rules.rules[number];
            if rule.candidate && rule.allows {
                let (document, statement, conditional) = (rule.document, rule.index, rule.is_conditional());
                let action = rule.statement.actions().next().unwrap_or("*").to_owned();
                let severity = Severity::High;
                self.found.push(Excess {
                    document,
                    statement,
                    pattern: None,
                    kind: ExcessKind::Undecided,
                    action,
                    resource: None,
                    conditional,
                    severity,
                });
                return;
            }
        }
    }
}
