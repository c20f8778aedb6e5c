//! One question: given the statements that cover an action, is there a resource that the candidate's statement allows
//! and the reference does not?

use std::ops::ControlFlow;

use super::automaton::{Automaton, Visit};
use super::covering::CoveringStatements;
use super::example::{examples_of_glob, examples_of_types};
use super::statement::{ComparedStatement, ComparedStatements, ResourceBounds, Term, follows};
use crate::budget::{Budget, Exhausted};
use crate::catalogue::ResourceTypes;
use crate::glob::{Glob, Token};
use crate::principal::ResolvedPrincipal;

/// Longer examples are not tried: no ARN is longer (AWS: IAM API reference, `arnType`).
const MAX_ARN_LENGTH: usize = 2_048;

/// Whether the reference allows everything that one statement of the candidate allows, for one group of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Containment {
    /// It does.
    Included,
    /// It does not allow this resource. `conditional` if that depends on conditions or unknown variables.
    Exceeds { resource: String, conditional: bool },
    /// Not decided within the budget.
    Undecided,
}

/// Whether one statement of the candidate exceeds the reference.
pub(super) struct ResourceQuestion<'q, 'd> {
    statements: &'q ComparedStatements<'d>,
    covering: &'q CoveringStatements,
    own: &'q ComparedStatement<'d>,
    /// Whether stars of the first five fields may reach over colons; see [`ResourceTypes`].
    wide_stars: bool,
    /// The statement's own patterns.
    bounds: Vec<ResourceBounds>,
}

impl<'q, 'd> ResourceQuestion<'q, 'd> {
    pub(super) fn new(
        statements: &'q ComparedStatements<'d>,
        covering: &'q CoveringStatements,
        own: usize,
        wide_stars: bool,
    ) -> Self {
        let own = &statements[own];
        let bounds = own.bounds.iter().map(|bound| if wide_stars { *bound } else { bound.within_segments() }).collect();
        Self { statements, covering, own, wide_stars, bounds }
    }

    /// Decides the question for the resources of `universe`, a list of globs. `types` are their types, which make the
    /// witnesses look real.
    pub(super) fn decide(
        &self,
        universe: &[usize],
        types: Option<&ResourceTypes>,
        principal: &ResolvedPrincipal,
        budget: &Budget,
    ) -> Containment {
        self.try_decide(universe, types, principal, budget).unwrap_or(Containment::Undecided)
    }

    fn try_decide(
        &self,
        universe: &[usize],
        types: Option<&ResourceTypes>,
        principal: &ResolvedPrincipal,
        budget: &Budget,
    ) -> Result<Containment, Exhausted> {
        if self.is_plainly_included(universe, budget)? {
            return Ok(Containment::Included);
        }
        let examples = types.map(|types| examples_of_types(types, principal)).unwrap_or_default();
        for resource in examples.into_iter().chain(self.examples(universe, principal)) {
            budget.spend(200 + 5 * resource.len())?;
            let matches = |glob: usize| budget.matches(&self.statements.globs[glob], &resource);
            if resource.len() > MAX_ARN_LENGTH || !universe.iter().any(|glob| matches(*glob)) {
                continue;
            }
            if let Some(conditional) = self.exceeds(&matches, budget)? {
                return Ok(Containment::Exceeds { resource, conditional });
            }
        }
        self.search(universe, principal, budget)
    }

    /// The proofs of inclusion that need no search.
    fn is_plainly_included(&self, universe: &[usize], budget: &Budget) -> Result<bool, Exhausted> {
        if self.covering.denies_everything {
            return Ok(true);
        }
        let globs = &self.statements.globs;
        let selects = !self.own.excludes_resources();
        budget.spend(20 * (1 + self.bounds.len()) * (1 + universe.len()))?;
        let everything = |bound: &ResourceBounds| bound.lower.is_some_and(|lower| globs[lower].is_anything());
        if !selects && self.bounds.iter().any(everything) {
            return Ok(true);
        }
        if selects
            && self
                .bounds
                .iter()
                .all(|bound| universe.iter().all(|glob| plainly_disjoint(&globs[bound.upper], &globs[*glob])))
        {
            return Ok(true);
        }
        let covering = self.covering;
        if selects && self.bounds.iter().all(|bound| covering.settled.binary_search(&bound.upper).is_ok()) {
            return Ok(true);
        }
        budget.spend(
            40 * (covering.settled.len() + covering.settled_conditionally.len()) * (universe.len() + self.bounds.len()),
        )?;
        let conditional = covering
            .settled_conditionally
            .iter()
            .filter(|(statement, _)| self.statements[*statement].holds_whenever(self.own))
            .map(|(_, glob)| glob);
        let settled: Vec<usize> = covering.settled.iter().chain(conditional).copied().collect();
        let covered = |glob: usize| settled.iter().any(|cover| globs[*cover].plainly_covers(&globs[glob]));
        Ok((selects && self.bounds.iter().all(|bound| covered(bound.upper)))
            || universe.iter().all(|glob| covered(*glob)))
    }

    /// Whether the candidate's statement allows a resource that the reference does not, and if so, whether that depends
    /// on anything unknown. `matches` tells which globs match the resource.
    fn exceeds(&self, matches: &dyn Fn(usize) -> bool, budget: &Budget) -> Result<Option<bool>, Exhausted> {
        let allows = self.own.terms(self.wide_stars, matches);
        budget.check()?;
        if allows.is_empty() {
            return Ok(None);
        }
        budget.spend(20 * self.covering.size)?;
        let terms = |statements: &[usize]| {
            statements
                .iter()
                .flat_map(|statement| self.statements[*statement].terms(self.wide_stars, matches))
                .collect::<Vec<Term>>()
        };
        let denies = terms(&self.covering.candidate_denies);
        budget.spend(10 * allows.len() * (1 + denies.len()))?;
        let alive: Vec<Term> =
            allows.into_iter().filter(|allow| !denies.iter().any(|deny| follows(deny, allow))).collect();
        if alive.is_empty() {
            return Ok(None);
        }
        let (allowed, denied) = (terms(&self.covering.reference_allows), terms(&self.covering.reference_denies));
        budget.spend(10 * alive.len() * (1 + allowed.len() + denied.len() * (1 + denies.len())))?;
        let included = |allow: &Term| {
            allowed.iter().any(|other| follows(other, allow))
                && denied.iter().all(|deny_of_reference| {
                    let both: Term = deny_of_reference.iter().chain(allow).copied().collect();
                    denies.iter().any(|deny| follows(deny, &both))
                })
        };
        Ok(alive.iter().find(|allow| !included(allow)).map(|allow| !allow.is_empty()))
    }

    /// Examples of the statement's own patterns and of the universe.
    fn examples(&self, universe: &[usize], principal: &ResolvedPrincipal) -> impl Iterator<Item = String> {
        let own = self.bounds.iter().filter(|_| !self.own.excludes_resources()).map(|bound| bound.upper);
        own.chain(universe.iter().copied()).flat_map(|glob| examples_of_glob(&self.statements.globs[glob], principal))
    }

    /// Decides exactly: reads all patterns together, and decides each set of patterns that some resource matches.
    fn search(
        &self,
        universe: &[usize],
        principal: &ResolvedPrincipal,
        budget: &Budget,
    ) -> Result<Containment, Exhausted> {
        budget.spend(50 * (self.covering.size + self.bounds.len()))?;
        let mut numbers: Vec<usize> = universe.to_vec();
        let statements = self.covering.all().map(|statement| &self.statements[statement]).chain([self.own]);
        let bounds = statements
            .flat_map(|statement| statement.bounds.iter())
            .map(|bound| if self.wide_stars { *bound } else { bound.within_segments() });
        numbers.extend(bounds.flat_map(|bound| bound.lower.into_iter().chain([bound.upper])));
        numbers.sort_unstable();
        numbers.dedup();
        let globs: Vec<&Glob> = numbers.iter().map(|number| &self.statements.globs[*number]).collect();
        let indices = |wanted: &mut dyn Iterator<Item = usize>| {
            wanted.filter_map(|number| numbers.binary_search(&number).ok()).collect::<Vec<_>>()
        };
        let universe = indices(&mut universe.iter().copied());
        let own = indices(&mut self.bounds.iter().map(|bound| bound.upper));
        let needed: Vec<&[usize]> = if self.own.excludes_resources() { vec![&universe] } else { vec![&universe, &own] };

        let mut containment = Containment::Included;
        let preferred = format!("xyz{}", principal.account_id);
        let mut visit = |visit: &Visit<'_>, budget: &Budget| {
            if universe.iter().any(|index| visit.accepts(*index)) {
                budget.spend(20 * (self.covering.size + self.bounds.len()))?;
                let matches = |glob: usize| numbers.binary_search(&glob).is_ok_and(|index| visit.accepts(index));
                if let Some(conditional) = self.exceeds(&matches, budget)? {
                    containment = Containment::Exceeds { resource: visit.text(), conditional };
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        Automaton::new(&globs, &preferred, budget)?.explore(&needed, budget, &mut visit)?;
        Ok(containment)
    }
}

/// A cheap proof that no text matches both globs: their literal beginnings or ends differ.
fn plainly_disjoint(one: &Glob, other: &Glob) -> bool {
    let differ = |pair: &(&Token, &Token)| matches!(pair, (Token::Literal(one), Token::Literal(other)) if one != other);
    let open = |pair: &(&Token, &Token)| !pair.0.repeats() && !pair.1.repeats();
    let (one, other) = (one.tokens(), other.tokens());
    one.iter().zip(other).take_while(open).any(|pair| differ(&pair))
        || one.iter().rev().zip(other.iter().rev()).take_while(open).any(|pair| differ(&pair))
}
