//! Statements made ready for comparison: patterns numbered, conditions and doubtful matches turned into opaque atoms.

use std::collections::{BTreeSet, HashMap};

use crate::action::ActionPattern;
use crate::arn::{Reach, Scope};
use crate::condition::Fingerprint;
use crate::context::Context;
use crate::document::{Document, Effect, Statement};
use crate::evaluate::all_statements;
use crate::glob::Glob;

/// Pairs of statements looked at for being the same.
const MAX_PAIRS: usize = 10_000;

/// Something opaque that a statement's application hangs on; equal numbers are the same thing on both sides.
pub(super) type Atom = usize;

/// A conjunction of atoms, sorted: the circumstances in which a statement applies at a point. Empty is "always".
pub(super) type Term = Vec<Atom>;

/// All statements of both sides.
pub(super) struct Rules<'d> {
    pub(super) rules: Vec<Rule<'d>>,
    pub(super) globs: Vec<Glob>,
    /// Distinct action patterns.
    pub(super) actions: Vec<&'d ActionPattern>,
    /// Number of rules and of their action patterns together.
    pub(super) size: usize,
    glob_numbers: HashMap<Glob, usize>,
    atoms: HashMap<Opaque, Atom>,
}

/// What an atom stands for.
#[derive(PartialEq, Eq, Hash)]
enum Opaque {
    /// All conditions of a statement.
    Conditions(BTreeSet<Fingerprint>),
    /// Whether a pattern's stars reach over colons.
    Reach(Glob),
    /// What an unknown variable of a pattern holds.
    Variable(String),
}

/// One statement.
pub(super) struct Rule<'d> {
    /// Whether it is the candidate's; otherwise it is the reference's.
    pub(super) candidate: bool,
    pub(super) document: usize,
    pub(super) index: usize,
    pub(super) statement: &'d Statement,
    pub(super) allows: bool,
    /// Numbers of its action patterns, in the statement's order.
    pub(super) patterns: Vec<usize>,
    /// The partitions that its resources name.
    pub(super) partitions: BTreeSet<&'d str>,
    condition: Option<Atom>,
    pub(super) targets: Vec<Target>,
}

/// A rule that can cover actions of a service.
pub(super) struct Relevant {
    pub(super) rule: usize,
    /// Those of its action patterns that can match one.
    pub(super) patterns: Vec<usize>,
    /// Whether they are those that the rule does not cover.
    inverted: bool,
}

impl Relevant {
    /// Whether the rule covers an action that just these patterns match.
    pub(super) fn covers(&self, matched: impl Fn(usize) -> bool) -> bool {
        self.patterns.iter().any(|pattern| matched(*pattern)) != self.inverted
    }
}

/// What it costs to make a rule of a statement, in nanoseconds.
pub(super) fn effort(statement: &Statement) -> usize {
    let resources: usize = statement.resources.patterns.iter().map(|pattern| 300 + 5 * pattern.effort()).sum();
    let conditions: usize = statement.conditions().iter().map(|condition| 300 + 100 * condition.values().count()).sum();
    100 + 100 * statement.actions.patterns.len() + resources + conditions
}

/// A resource pattern as two languages: what it covers for certain, and what it covers at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) certain: Option<usize>,
    pub(super) most: usize,
    doubt: Atom,
}

impl Target {
    /// Resources whose names hold no colon have five colons, as many as every pattern asks for: no star can take one,
    /// so there is no doubt.
    pub(super) const fn without_colons(self) -> Self {
        match self.certain {
            Some(certain) => Self { most: certain, ..self },
            None => self,
        }
    }
}

impl<'d> Rules<'d> {
    pub(super) fn new(candidate: &'d [Document], reference: &'d [Document], context: &Context) -> Self {
        let mut rules = Self {
            rules: Vec::new(),
            globs: Vec::new(),
            actions: Vec::new(),
            size: 0,
            glob_numbers: HashMap::new(),
            atoms: HashMap::new(),
        };
        let mut numbers: HashMap<(Option<&str>, &Glob), usize> = HashMap::new();
        let both = all_statements(candidate)
            .map(|found| (true, found))
            .chain(all_statements(reference).map(|found| (false, found)));
        for (candidate, (document, index, statement)) in both {
            let patterns: Vec<usize> = statement
                .actions
                .patterns
                .iter()
                .map(|pattern| {
                    *numbers.entry((pattern.service(), pattern.name())).or_insert_with(|| {
                        rules.actions.push(pattern);
                        rules.actions.len() - 1
                    })
                })
                .collect();
            let condition = rules.condition(statement);
            let targets =
                statement.resources.patterns.iter().filter_map(|pattern| rules.target(pattern, context)).collect();
            let partitions = statement.resources.patterns.iter().filter_map(|pattern| pattern.partition()).collect();
            let allows = statement.effect() == Effect::Allow;
            rules.size += 1 + patterns.len();
            rules.rules.push(Rule {
                candidate,
                document,
                index,
                statement,
                allows,
                patterns,
                partitions,
                condition,
                targets,
            });
        }
        rules
    }

    /// The numbers of some rules.
    pub(super) fn numbers(&self, wanted: impl Fn(&Rule<'d>) -> bool) -> Vec<usize> {
        self.rules.iter().enumerate().filter(|(_, rule)| wanted(rule)).map(|(number, _)| number).collect()
    }

    /// The rules that can cover an action of the service.
    pub(super) fn relevant(&self, service: &str) -> Vec<Relevant> {
        let of_service = |pattern: &usize| self.actions[*pattern].service().is_none_or(|own| own == service);
        let all = self.rules.iter().enumerate().map(|(number, rule)| {
            let patterns = rule.patterns.iter().copied().filter(of_service).collect();
            Relevant { rule: number, patterns, inverted: rule.statement.excludes_actions() }
        });
        all.filter(|relevant| relevant.inverted || !relevant.patterns.is_empty()).collect()
    }

    /// Whether the rule is an allow of the candidate.
    pub(super) fn is_in_question(&self, rule: usize) -> bool {
        self.rules[rule].candidate && self.rules[rule].allows
    }

    /// Whether each allow of the candidate is one of the reference's, and each deny of the reference one of the
    /// candidate's.
    pub(super) fn is_plainly_included(&self) -> bool {
        let (own, others): (Vec<&Rule<'_>>, Vec<&Rule<'_>>) = self.rules.iter().partition(|rule| rule.candidate);
        // Two versions of a policy, or one and itself; with many statements the look would cost more than it saves.
        own.len() * others.len() <= MAX_PAIRS
            && own.iter().filter(|rule| rule.allows).all(|rule| others.iter().any(|other| other.is_same(rule)))
            && others.iter().filter(|rule| !rule.allows).all(|rule| own.iter().any(|other| other.is_same(rule)))
    }

    /// All conditions of a statement as one atom: equal only if they are the same conditions.
    fn condition(&mut self, statement: &Statement) -> Option<Atom> {
        if statement.conditions().is_empty() {
            return None;
        }
        let all = statement.conditions().iter().map(|condition| condition.fingerprint(statement.variables)).collect();
        Some(self.atom(Opaque::Conditions(all)))
    }

    fn target(&mut self, pattern: &crate::arn::ResourcePattern, context: &Context) -> Option<Target> {
        let (certain, most) = match pattern.scope(context, Reach::Documented) {
            Scope::Exact(most) => match pattern.scope(context, Reach::Segments) {
                Scope::Exact(certain) => (Some(self.glob(certain)), most),
                _ => (None, most),
            },
            Scope::AtMost(most) => (None, most),
            Scope::Nothing => return None,
        };
        // An exact pattern is known by its tokens, whatever variables they came from; one with an unknown variable by
        // its text.
        let doubt =
            if certain.is_some() { Opaque::Reach(most.clone()) } else { Opaque::Variable(pattern.raw().to_owned()) };
        Some(Target { certain, most: self.glob(most), doubt: self.atom(doubt) })
    }

    pub(super) fn glob(&mut self, glob: Glob) -> usize {
        let globs = &mut self.globs;
        *self.glob_numbers.entry(glob).or_insert_with_key(|glob| {
            globs.push(glob.clone());
            globs.len() - 1
        })
    }

    fn atom(&mut self, opaque: Opaque) -> Atom {
        let next = self.atoms.len();
        *self.atoms.entry(opaque).or_insert(next)
    }
}

impl Rule<'_> {
    /// A pattern of the rule as this statement writes it; another may write it in another case.
    pub(super) fn spelling(&self, pattern: usize) -> Option<&str> {
        let place = self.patterns.iter().position(|own| *own == pattern)?;
        Some(self.statement.actions.patterns[place].raw())
    }

    /// Whether the statement applies to every resource, always.
    pub(super) fn is_total(&self, globs: &[Glob]) -> bool {
        let everything = |target: &Target| target.certain.is_some_and(|certain| globs[certain].is_anything());
        self.condition.is_none()
            && if self.statement.excludes_resources() {
                self.targets.is_empty()
            } else {
                self.targets.iter().any(everything)
            }
    }

    pub(super) const fn is_conditional(&self) -> bool {
        self.condition.is_some()
    }

    /// Whether both have the same conditions, or `self` has none.
    pub(super) fn holds_wherever(&self, other: &Self) -> bool {
        self.condition.is_none() || self.condition == other.condition
    }

    /// Whether both apply to the same resources in the same circumstances.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let inverted = |rule: &Self| rule.statement.excludes_resources();
        self.allows == other.allows
            && self.condition == other.condition
            && inverted(self) == inverted(other)
            && self.targets == other.targets
    }

    /// Whether both are the same statement.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_like(other)
            && self.patterns == other.patterns
            && self.statement.excludes_actions() == other.statement.excludes_actions()
    }

    /// The circumstances in which the statement applies to the resource for which `matches` answers, as alternatives.
    pub(super) fn terms(&self, colons: bool, matches: &dyn Fn(usize) -> bool) -> Vec<Term> {
        let most = |target: &Target| if colons { target.most } else { target.without_colons().most };
        let condition: Term = self.condition.into_iter().collect();
        let certain = |target: &&Target| target.certain.is_some_and(matches);
        if self.statement.excludes_resources() {
            if self.targets.iter().any(|target| certain(&target)) {
                return Vec::new();
            }
            // Applies if no doubtful entry matches after all; that is an atom of its own.
            let mut doubts: Vec<Atom> = self
                .targets
                .iter()
                .filter(|target| matches(most(target)))
                .map(|target| usize::MAX - target.doubt)
                .collect();
            doubts.extend(condition);
            doubts.sort_unstable();
            doubts.dedup();
            return vec![doubts];
        }
        if self.targets.iter().any(|target| certain(&target)) {
            return vec![condition];
        }
        let doubtful = self.targets.iter().filter(|target| matches(most(target)));
        doubtful
            .map(|target| {
                let mut term = condition.clone();
                term.push(target.doubt);
                term.sort_unstable();
                term
            })
            .collect()
    }
}

/// Whether `wide` holds whenever `narrow` does: all its atoms are among those of `narrow`.
pub(super) fn follows(wide: &[Atom], narrow: &[Atom]) -> bool {
    wide.iter().all(|atom| narrow.contains(atom))
}
