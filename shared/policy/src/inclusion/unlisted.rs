//! Checks actions that the catalogue does not list: future ones of services that are listed whole, all others of
//! services that are listed in part, and those of unknown services.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::automaton::{Automaton, Visit};
use super::check::{Blame, InclusionCheck, MAX_STEPS_OF_QUESTION, UnlistedNames};
use super::covering::CoveringStatements;
use super::excess::ExcessKind;
use super::question::Containment;
use super::statement::RelevantStatement;
use crate::budget::{Budget, Exhausted};
use crate::catalogue::{CATALOGUE, Coverage};
use crate::glob::Glob;
use crate::severity::{Severity, rate};

/// A service and a name that AWS does not have. They represent those that it may add.
const UNLISTED_SERVICE: &str = "unlisted";
const UNLISTED_NAME: &str = "Unlisted";

impl InclusionCheck<'_> {
    /// Finds the unlisted actions that the candidate allows and the reference does not.
    pub(super) fn check_unlisted_actions(&mut self) -> Result<(), Exhausted> {
        let everything = [self.statements.glob(Glob::anything())];
        for statement in self.statements.numbers(|statement| statement.candidate && statement.allows) {
            let blame: Vec<Blame> = if self.statements[statement].excludes_actions() {
                vec![Blame::NotAction]
            } else {
                self.statements[statement].patterns.iter().copied().map(Blame::Pattern).collect()
            };
            for blame in blame {
                for service in self.services_to_try(blame)? {
                    if self.is_done() {
                        return Ok(());
                    }
                    if self.counts.contains_key(&(statement, blame)) {
                        break;
                    }
                    self.check_unlisted_names(statement, blame, &service, &everything)?;
                }
            }
        }
        Ok(())
    }

    /// The services in which unlisted names of a pattern are tried: its own, or if it has none, every service that the
    /// policies mention and one that does not exist.
    fn services_to_try(&self, blame: Blame) -> Result<Vec<String>, Exhausted> {
        self.budget.spend(100)?;
        if let Some(service) = self.pattern(blame).and_then(|pattern| pattern.service()) {
            return Ok(vec![service.to_owned()]);
        }
        self.budget.spend(50 * self.statements.actions.len())?;
        let mentioned: BTreeSet<&str> =
            self.statements.actions.iter().filter_map(|pattern| pattern.service()).collect();
        Ok(mentioned.into_iter().chain([UNLISTED_SERVICE]).map(str::to_owned).collect())
    }

    /// Records the first unlisted name of a pattern that is excess.
    fn check_unlisted_names(
        &mut self,
        statement: usize,
        blame: Blame,
        service: &str,
        everything: &[usize],
    ) -> Result<(), Exhausted> {
        self.budget.spend(200)?;
        let own = self.pattern(blame).map_or_else(Glob::anything, |pattern| pattern.name().clone());
        if own.literal().is_some_and(|name| CATALOGUE.find(service, name).is_some()) {
            return Ok(());
        }
        let relevant = self.relevant_statements(service)?;
        if self.is_plainly_settled(blame, service, &relevant)? {
            return Ok(());
        }
        let written = self.pattern(blame).map_or_else(Glob::anything, |pattern| {
            Glob::parse(pattern.raw().split_once(':').map_or("*", |(_, name)| name))
        });
        let mut seen = HashSet::new();
        for star in [UNLISTED_NAME, ""] {
            let name = written.example(star, 'x');
            match self.check_name(statement, &relevant, &name, everything, &mut seen)? {
                Containment::Included => {}
                excess => return self.record_unlisted(statement, blame, service, &name, &excess),
            }
        }
        if own.literal().is_some() {
            return Ok(());
        }
        let names = self.unlisted_names(blame, service, &relevant);
        for (covering, name) in &names.found {
            if covering.contains(&statement) && seen.insert(covering.clone()) {
                match self.decide_unlisted(statement, covering, everything)? {
                    Containment::Included => {}
                    excess => return self.record_unlisted(statement, blame, service, name, &excess),
                }
            }
        }
        if names.is_complete {
            return Ok(());
        }
        self.record_unlisted(statement, blame, service, &written.example(UNLISTED_NAME, 'x'), &Containment::Undecided)
    }

    /// The result of [`is_settled_by_one`](Self::is_settled_by_one), computed once for a service and a pattern: it is
    /// the same for every statement with the pattern.
    fn is_plainly_settled(
        &mut self,
        blame: Blame,
        service: &str,
        relevant: &[RelevantStatement],
    ) -> Result<bool, Exhausted> {
        let key = (service.to_owned(), blame);
        if let Some(settled) = self.settled.get(&key) {
            return Ok(*settled);
        }
        self.budget.spend(20 * relevant.iter().map(|relevant| 1 + relevant.patterns.len()).sum::<usize>())?;
        self.budget.keep(10 + service.len() / 8)?;
        let settled = self.is_settled_by_one(blame, relevant);
        self.settled.insert(key, settled);
        Ok(settled)
    }

    /// Whether one statement settles all names of the pattern: the reference allows them all and denies nothing, or the
    /// candidate denies them all.
    fn is_settled_by_one(&self, blame: Blame, relevant: &[RelevantStatement]) -> bool {
        let covers = |number: usize| {
            let statement = &self.statements[number];
            statement.is_total(&self.statements.globs)
                && !statement.excludes_actions()
                && statement.patterns.iter().any(|wide| {
                    let wide = self.statements.actions[*wide];
                    self.pattern(blame).map_or_else(
                        || wide.service().is_none() && wide.name().is_anything(),
                        |own| wide.plainly_covers(own),
                    )
                })
        };
        let of = |relevant: &RelevantStatement| &self.statements[relevant.statement];
        let reference_denies = relevant.iter().any(|relevant| !of(relevant).candidate && !of(relevant).allows);
        relevant.iter().any(|relevant| {
            let statement = of(relevant);
            (statement.candidate != statement.allows)
                && (statement.candidate || !reference_denies)
                && covers(relevant.statement)
        })
    }

    /// Decides for one unlisted name. It counts as included if the same covering statements were already seen, or if
    /// the statement does not cover it.
    fn check_name(
        &mut self,
        statement: usize,
        relevant: &[RelevantStatement],
        name: &str,
        everything: &[usize],
        seen: &mut HashSet<Vec<usize>>,
    ) -> Result<Containment, Exhausted> {
        let name = name.to_ascii_lowercase();
        let matched = |pattern: usize| self.budget.matches(self.statements.actions[pattern].name(), &name);
        let covering: Vec<usize> =
            relevant.iter().filter(|relevant| relevant.covers(matched)).map(|relevant| relevant.statement).collect();
        self.budget.check()?;
        if covering.contains(&statement) && seen.insert(covering.clone()) {
            self.decide_unlisted(statement, &covering, everything)
        } else {
            Ok(Containment::Included)
        }
    }

    /// Decides whether `statement` allows any resource that the reference does not, given the statements that cover an
    /// unlisted name.
    fn decide_unlisted(
        &mut self,
        statement: usize,
        covering: &[usize],
        universe: &[usize],
    ) -> Result<Containment, Exhausted> {
        self.budget.spend(20 * covering.len())?;
        let latest = match self.latest.take() {
            Some((key, latest)) if key == covering => (key, latest),
            _ => {
                let latest = CoveringStatements::new(&self.statements, covering);
                self.budget.spend(20 * latest.size)?;
                (covering.to_vec(), latest)
            }
        };
        let containment = self.decide(statement, &latest.1, universe, None);
        self.latest = Some(latest);
        containment
    }

    /// All sets of statements that can cover an unlisted name of a pattern, by reading the action patterns together.
    fn unlisted_names(&mut self, blame: Blame, service: &str, relevant: &[RelevantStatement]) -> Rc<UnlistedNames> {
        let key = (service.to_owned(), blame);
        if let Some(names) = self.names.get(&key) {
            return Rc::clone(names);
        }
        let numbers: BTreeSet<usize> = relevant.iter().flat_map(|relevant| relevant.patterns.iter().copied()).collect();
        let numbers: Vec<usize> = numbers.into_iter().collect();
        let globs: Vec<&Glob> = numbers.iter().map(|number| self.statements.actions[*number].name()).collect();
        let own: Vec<usize> = numbers.iter().position(|number| Blame::Pattern(*number) == blame).into_iter().collect();
        let listed: Vec<usize> =
            (0..numbers.len()).filter(|index| self.is_listed_literal(service, numbers[*index])).collect();
        let needed: Vec<&[usize]> = if own.is_empty() { Vec::new() } else { vec![&own] };
        let mut found: Vec<(Vec<usize>, String)> = Vec::new();
        let mut seen: HashSet<Vec<usize>> = HashSet::new();
        let mut visit = |visit: &Visit<'_>, budget: &Budget| {
            let is_own = blame == Blame::NotAction || own.iter().any(|own| visit.accepts(*own));
            if is_own && !visit.is_start() && !listed.iter().any(|index| visit.accepts(*index)) {
                budget.spend(numbers.len() + 10 * relevant.len())?;
                let accepted: Vec<usize> = numbers
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| visit.accepts(*index))
                    .map(|(_, number)| *number)
                    .collect();
                let covering: Vec<usize> = relevant
                    .iter()
                    .filter(|relevant| relevant.covers(|pattern| accepted.binary_search(&pattern).is_ok()))
                    .map(|relevant| relevant.statement)
                    .collect();
                if seen.insert(covering.clone()) {
                    budget.keep(2 * covering.len())?;
                    found.push((covering, visit.text()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        let is_complete = self
            .budget
            .part(MAX_STEPS_OF_QUESTION, |part| {
                Automaton::new(&globs, "xyzabcdefghijklmnopqrstuvw0123456789", part)?.explore(&needed, part, &mut visit)
            })
            .is_ok();
        let names = Rc::new(UnlistedNames { found, is_complete });
        self.names.insert(key, Rc::clone(&names));
        names
    }

    /// Whether a pattern has no wildcards and names a listed action: then it matches no unlisted name.
    fn is_listed_literal(&self, service: &str, pattern: usize) -> bool {
        self.statements.actions[pattern].name().literal().is_some_and(|name| CATALOGUE.find(service, name).is_some())
    }

    /// Records an unlisted name that is excess.
    fn record_unlisted(
        &mut self,
        statement: usize,
        blame: Blame,
        service: &str,
        name: &str,
        containment: &Containment,
    ) -> Result<(), Exhausted> {
        let kind = self.kind_of(blame, service)?;
        let severity = if kind == ExcessKind::Unlisted || *containment == Containment::Undecided {
            rate(service, &name.to_ascii_lowercase(), None)
        } else {
            Severity::Low
        };
        // A pattern without wildcards is shown as the policy writes it.
        let written = self.statements[statement]
            .source
            .actions()
            .find(|raw| raw.eq_ignore_ascii_case(&format!("{service}:{name}")));
        let action = written.map_or_else(|| format!("{service}:{name}"), str::to_owned);
        let containment = self.confirm(statement, &action, containment.clone())?;
        self.record(statement, blame, &action, severity, kind, &containment)
    }

    /// Why an unlisted name is excess.
    fn kind_of(&self, blame: Blame, service: &str) -> Result<ExcessKind, Exhausted> {
        let matches_listed = || match self.pattern(blame) {
            Some(pattern) => {
                CATALOGUE.actions(service).any(|action| self.budget.matches(pattern.name(), &action.lower))
            }
            None => true,
        };
        let kind = match CATALOGUE.coverage(service) {
            Coverage::None => ExcessKind::UnknownService,
            Coverage::Part => ExcessKind::Unlisted,
            Coverage::Whole if matches_listed() => ExcessKind::Latent,
            Coverage::Whole => ExcessKind::NoSuchAction,
        };
        self.budget.check()?;
        Ok(kind)
    }
}
