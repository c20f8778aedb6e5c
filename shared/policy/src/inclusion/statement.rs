//! Statements prepared for comparison: patterns get numbers, conditions and doubtful matches become opaque atoms.

use std::collections::{BTreeSet, HashMap};
use std::ops::Index;

use crate::action::ActionPattern;
use crate::condition::ConditionFingerprint;
use crate::context::RequestContext;
use crate::document::{Effect, PolicyDocument, Statement};
use crate::evaluate::{LocatedStatement, all_statements};
use crate::glob::Glob;
use crate::resource::{Reach, ResolvedResource, ResourcePattern};

/// The most pairs of statements that are tested for being the same.
const MAX_PAIRS: usize = 10_000;

/// Something opaque that decides whether a statement applies. Equal numbers mean the same thing on both sides.
pub(super) type Atom = usize;

/// A conjunction of atoms, sorted: when a statement applies to a resource. Empty means "always".
pub(super) type Term = Vec<Atom>;

/// All statements of both sides.
pub(super) struct ComparedStatements<'d> {
    all: Vec<ComparedStatement<'d>>,
    pub(super) globs: Vec<Glob>,
    /// Distinct action patterns.
    pub(super) actions: Vec<&'d ActionPattern>,
    /// The number of statements plus that of their action patterns.
    pub(super) size: usize,
    glob_numbers: HashMap<Glob, usize>,
    atoms: HashMap<Opaque, Atom>,
}

/// What an atom represents.
#[derive(PartialEq, Eq, Hash)]
enum Opaque {
    /// All conditions of a statement.
    Conditions(BTreeSet<ConditionFingerprint>),
    /// Whether the stars of a pattern reach over colons.
    Reach(Glob),
    /// The value of an unknown variable in a pattern.
    Variable(String),
}

/// One statement, prepared.
pub(super) struct ComparedStatement<'d> {
    /// Whether it belongs to the candidate; otherwise it belongs to the reference.
    pub(super) candidate: bool,
    pub(super) document: usize,
    pub(super) index: usize,
    pub(super) source: &'d Statement,
    pub(super) allows: bool,
    /// The numbers of its action patterns, in the statement's order.
    pub(super) patterns: Vec<usize>,
    /// The partitions that its resources name.
    pub(super) partitions: BTreeSet<&'d str>,
    condition: Option<Atom>,
    pub(super) bounds: Vec<ResourceBounds>,
}

/// A statement that can cover actions of a service.
pub(super) struct RelevantStatement {
    /// Its number.
    pub(super) statement: usize,
    /// Those of its action patterns that can match such an action.
    pub(super) patterns: Vec<usize>,
    /// Whether the statement covers what none of them matches.
    inverted: bool,
}

impl RelevantStatement {
    /// Whether the statement covers an action that exactly these patterns match.
    pub(super) fn covers(&self, matched: impl Fn(usize) -> bool) -> bool {
        self.patterns.iter().any(|pattern| matched(*pattern)) != self.inverted
    }
}

/// What it costs to prepare a statement, in nanoseconds.
pub(super) fn preparation_cost(statement: &Statement) -> usize {
    let resources: usize = statement.resources.patterns.iter().map(|pattern| 300 + 5 * pattern.effort()).sum();
    let conditions: usize = statement.conditions().iter().map(|condition| 300 + 100 * condition.values().count()).sum();
    100 + 100 * statement.actions.patterns.len() + resources + conditions
}

/// A resource pattern as two globs: what it covers for certain, and what it covers at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResourceBounds {
    /// The number of the glob that it covers for certain; `None` with an unknown variable.
    pub(super) lower: Option<usize>,
    /// The number of the glob that it covers at most.
    pub(super) upper: usize,
    /// What decides between the two.
    doubt: Atom,
}

impl ResourceBounds {
    /// The bounds if no star reaches beyond its segment: then nothing is in doubt but unknown variables.
    pub(super) const fn within_segments(self) -> Self {
        match self.lower {
            Some(lower) => Self { upper: lower, ..self },
            None => self,
        }
    }
}

impl<'d> ComparedStatements<'d> {
    pub(super) fn new(
        candidate: &'d [PolicyDocument],
        reference: &'d [PolicyDocument],
        context: &RequestContext,
    ) -> Self {
        let mut statements = Self {
            all: Vec::new(),
            globs: Vec::new(),
            actions: Vec::new(),
            size: 0,
            glob_numbers: HashMap::new(),
            atoms: HashMap::new(),
        };
        let mut numbers: HashMap<(Option<&str>, &Glob), usize> = HashMap::new();
        let both = all_statements(candidate)
            .map(|located| (true, located))
            .chain(all_statements(reference).map(|located| (false, located)));
        for (candidate, LocatedStatement { document, index, statement: source }) in both {
            let patterns: Vec<usize> = source
                .actions
                .patterns
                .iter()
                .map(|pattern| {
                    *numbers.entry((pattern.service(), pattern.name())).or_insert_with(|| {
                        statements.actions.push(pattern);
                        statements.actions.len() - 1
                    })
                })
                .collect();
            let condition = statements.condition(source);
            let bounds =
                source.resources.patterns.iter().filter_map(|pattern| statements.bounds(pattern, context)).collect();
            let partitions = source.resources.patterns.iter().filter_map(|pattern| pattern.partition()).collect();
            let allows = source.effect() == Effect::Allow;
            statements.size += 1 + patterns.len();
            statements.all.push(ComparedStatement {
                candidate,
                document,
                index,
                source,
                allows,
                patterns,
                partitions,
                condition,
                bounds,
            });
        }
        statements
    }

    /// The numbers of the statements that are wanted.
    pub(super) fn numbers(&self, wanted: impl Fn(&ComparedStatement<'d>) -> bool) -> Vec<usize> {
        self.all.iter().enumerate().filter(|(_, statement)| wanted(statement)).map(|(number, _)| number).collect()
    }

    /// The statements that can cover an action of the service.
    pub(super) fn relevant(&self, service: &str) -> Vec<RelevantStatement> {
        let of_service = |pattern: &usize| self.actions[*pattern].service().is_none_or(|own| own == service);
        let all = self.all.iter().enumerate().map(|(number, statement)| {
            let patterns = statement.patterns.iter().copied().filter(of_service).collect();
            RelevantStatement { statement: number, patterns, inverted: statement.excludes_actions() }
        });
        all.filter(|relevant| relevant.inverted || !relevant.patterns.is_empty()).collect()
    }

    /// Whether the statement is an allow of the candidate.
    pub(super) fn is_candidate_allow(&self, statement: usize) -> bool {
        self[statement].candidate && self[statement].allows
    }

    /// Whether the reference has every allow of the candidate, and the candidate every deny of the reference.
    pub(super) fn is_plainly_included(&self) -> bool {
        let (own, others): (Vec<&ComparedStatement<'_>>, Vec<_>) =
            self.all.iter().partition(|statement| statement.candidate);
        // This finds two versions of one policy, or a policy and itself. With many statements it would cost more than
        // it saves.
        own.len() * others.len() <= MAX_PAIRS
            && own
                .iter()
                .filter(|statement| statement.allows)
                .all(|statement| others.iter().any(|other| other.is_same(statement)))
            && others
                .iter()
                .filter(|statement| !statement.allows)
                .all(|statement| own.iter().any(|other| other.is_same(statement)))
    }

    /// All conditions of a statement as one atom, the same only for the same conditions.
    fn condition(&mut self, statement: &Statement) -> Option<Atom> {
        if statement.conditions().is_empty() {
            return None;
        }
        let all =
            statement.conditions().iter().map(|condition| condition.fingerprint(statement.has_variables)).collect();
        Some(self.atom(Opaque::Conditions(all)))
    }

    /// The bounds of a pattern; `None` if it matches nothing.
    fn bounds(&mut self, pattern: &ResourcePattern, context: &RequestContext) -> Option<ResourceBounds> {
        let (lower, upper) = match pattern.resolve(context, Reach::Documented) {
            ResolvedResource::Exact(upper) => match pattern.resolve(context, Reach::Segments) {
                ResolvedResource::Exact(lower) => (Some(self.glob(lower)), upper),
                _ => (None, upper),
            },
            ResolvedResource::AtMost(upper) => (None, upper),
            ResolvedResource::Nothing => return None,
        };
        // The tokens identify an exact pattern, even if they come from variables. The text identifies a pattern with
        // an unknown variable.
        let doubt =
            if lower.is_some() { Opaque::Reach(upper.clone()) } else { Opaque::Variable(pattern.raw().to_owned()) };
        Some(ResourceBounds { lower, upper: self.glob(upper), doubt: self.atom(doubt) })
    }

    /// The number of a glob.
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

impl<'d> Index<usize> for ComparedStatements<'d> {
    type Output = ComparedStatement<'d>;

    fn index(&self, number: usize) -> &Self::Output {
        &self.all[number]
    }
}

impl ComparedStatement<'_> {
    pub(super) const fn excludes_actions(&self) -> bool {
        self.source.excludes_actions()
    }

    pub(super) const fn excludes_resources(&self) -> bool {
        self.source.excludes_resources()
    }

    /// An action pattern as this statement writes it; another statement may write it in another case.
    pub(super) fn spelling(&self, pattern: usize) -> Option<&str> {
        let index = self.patterns.iter().position(|own| *own == pattern)?;
        Some(self.source.actions.patterns[index].raw())
    }

    /// Whether the statement always applies, to every resource.
    pub(super) fn is_total(&self, globs: &[Glob]) -> bool {
        let everything = |bound: &ResourceBounds| bound.lower.is_some_and(|lower| globs[lower].is_anything());
        self.condition.is_none()
            && if self.excludes_resources() { self.bounds.is_empty() } else { self.bounds.iter().any(everything) }
    }

    pub(super) const fn is_conditional(&self) -> bool {
        self.condition.is_some()
    }

    /// Whether the conditions of `self` hold whenever those of `other` do: they are the same, or `self` has none.
    pub(super) fn holds_whenever(&self, other: &Self) -> bool {
        self.condition.is_none() || self.condition == other.condition
    }

    /// Whether both have the same effect on the same resources under the same conditions.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let inverted = |statement: &Self| statement.excludes_resources();
        self.allows == other.allows
            && self.condition == other.condition
            && inverted(self) == inverted(other)
            && self.bounds == other.bounds
    }

    /// Whether both are the same statement.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_like(other) && self.patterns == other.patterns && self.excludes_actions() == other.excludes_actions()
    }

    /// When the statement applies to a resource, as alternatives. `matches` tells which globs match the resource.
    pub(super) fn terms(&self, wide_stars: bool, matches: &dyn Fn(usize) -> bool) -> Vec<Term> {
        let upper = |bound: &ResourceBounds| if wide_stars { bound.upper } else { bound.within_segments().upper };
        let condition: Term = self.condition.into_iter().collect();
        let is_certain = |bound: &ResourceBounds| bound.lower.is_some_and(matches);
        if self.excludes_resources() {
            if self.bounds.iter().any(is_certain) {
                return Vec::new();
            }
            // It applies if no doubtful pattern matches after all. That is an atom of its own: the complement.
            let mut doubts: Vec<Atom> = self
                .bounds
                .iter()
                .filter(|bound| matches(upper(bound)))
                .map(|bound| usize::MAX - bound.doubt)
                .collect();
            doubts.extend(condition);
            doubts.sort_unstable();
            doubts.dedup();
            return vec![doubts];
        }
        if self.bounds.iter().any(is_certain) {
            return vec![condition];
        }
        let doubtful = self.bounds.iter().filter(|bound| matches(upper(bound)));
        doubtful
            .map(|bound| {
                let mut term = condition.clone();
                term.push(bound.doubt);
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
