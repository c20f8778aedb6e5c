//! Actions that are not listed: future ones of whole services, all others of the rest, and services that are not known.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::automaton::{Automaton, Visit};
use super::resource::{Answer, Selected};
use super::rule::Relevant;
use super::{Blamed, Comparison, ExcessKind, STEPS_EACH};
use crate::budget::{Budget, Exhausted};
use crate::catalogue::{CATALOGUE, Coverage};
use crate::glob::Glob;
use crate::severity::{Severity, rate};

/// Services and names that AWS does not have, to stand for those that it may have one day.
const UNLISTED_SERVICE: &str = "unlisted";
const UNLISTED_NAME: &str = "Unlisted";

/// What the reading of action patterns has found.
pub(super) struct Names {
    found: Vec<(Vec<usize>, String)>,
    complete: bool,
}

impl Comparison<'_> {
    /// Actions that are not listed: future ones of whole services, all others of the rest, and services that are not
    /// known.
    pub(super) fn unknown_actions(&mut self) -> Result<(), Exhausted> {
        let everything = [self.rules.glob(Glob::anything())];
        for rule in self.rules.numbers(|rule| rule.candidate && rule.allows) {
            let blamed: Vec<Blamed> = if self.rules.rules[rule].statement.excludes_actions() {
                vec![Blamed::NotAction]
            } else {
                self.rules.rules[rule].patterns.iter().copied().map(Blamed::Pattern).collect()
            };
            for blamed in blamed {
                for service in self.services_of(blamed)? {
                    if self.is_done() {
                        return Ok(());
                    }
                    if self.counts.contains_key(&(rule, blamed)) {
                        break;
                    }
                    self.unknown_names(rule, blamed, &service, &everything)?;
                }
            }
        }
        Ok(())
    }

    /// The services in which a pattern's unlisted names are looked for: its own, or all that are mentioned and one that
    /// does not exist.
    fn services_of(&self, blamed: Blamed) -> Result<Vec<String>, Exhausted> {
        self.budget.spend(100)?;
        if let Some(service) = self.pattern(blamed).and_then(|pattern| pattern.service()) {
            return Ok(vec![service.to_owned()]);
        }
        self.budget.spend(50 * self.rules.actions.len())?;
        let mentioned: BTreeSet<&str> = self.rules.actions.iter().filter_map(|pattern| pattern.service()).collect();
        Ok(mentioned.into_iter().chain([UNLISTED_SERVICE]).map(str::to_owned).collect())
    }

    fn unknown_names(
        &mut self,
        rule: usize,
        blamed: Blamed,
        service: &str,
        everything: &[usize],
    ) -> Result<(), Exhausted> {
        self.budget.spend(200)?;
        let own = self.pattern(blamed).map_or_else(Glob::anything, |pattern| pattern.name().clone());
        if own.literal().is_some_and(|name| CATALOGUE.find(service, name).is_some()) {
            return Ok(());
        }
        let relevant = self.relevant_rules(service)?;
        if self.is_plainly_settled(blamed, service, &relevant)? {
            return Ok(());
        }
        let written = self.pattern(blamed).map_or_else(Glob::anything, |pattern| {
            Glob::parse(pattern.raw().split_once(':').map_or("*", |(_, name)| name))
        });
        let mut seen = HashSet::new();
        for star in [UNLISTED_NAME, ""] {
            let name = written.example(star, 'x');
            match self.try_name(rule, &relevant, &name, everything, &mut seen)? {
                Answer::Included => {}
                answer => return self.record_unknown(rule, blamed, service, &name, &answer),
            }
        }
        if own.literal().is_some() {
            return Ok(());
        }
        let names = self.names(blamed, service, &relevant);
        for (selected, name) in &names.found {
            if selected.contains(&rule) && seen.insert(selected.clone()) {
                match self.ask(rule, selected, everything)? {
                    Answer::Included => {}
                    answer => return self.record_unknown(rule, blamed, service, name, &answer),
                }
            }
        }
        if names.complete {
            return Ok(());
        }
        self.record_unknown(rule, blamed, service, &written.example(UNLISTED_NAME, 'x'), &Answer::Undecided)
    }

    /// What [`settles_plainly`](Self::settles_plainly) says, looked up once for a service and a pattern: the answer is
    /// the same for every statement with the pattern.
    fn is_plainly_settled(&mut self, blamed: Blamed, service: &str, relevant: &[Relevant]) -> Result<bool, Exhausted> {
        let key = (service.to_owned(), blamed);
        if let Some(settled) = self.settled.get(&key) {
            return Ok(*settled);
        }
        self.budget.spend(20 * relevant.iter().map(|relevant| 1 + relevant.patterns.len()).sum::<usize>())?;
        self.budget.keep(10 + service.len() / 8)?;
        let settled = self.settles_plainly(blamed, relevant);
        self.settled.insert(key, settled);
        Ok(settled)
    }

    /// Whether one statement settles all names of the pattern: the reference allows them all and denies nothing, or the
    /// candidate denies them.
    fn settles_plainly(&self, blamed: Blamed, relevant: &[Relevant]) -> bool {
        let covers = |number: usize| {
            let rule = &self.rules.rules[number];
            rule.is_total(&self.rules.globs)
                && !rule.statement.excludes_actions()
                && rule.patterns.iter().any(|wide| {
                    let wide = self.rules.actions[*wide];
                    self.pattern(blamed).map_or_else(
                        || wide.service().is_none() && wide.name().is_anything(),
                        |own| wide.plainly_covers(own),
                    )
                })
        };
        let of = |relevant: &Relevant| &self.rules.rules[relevant.rule];
        let reference_denies = relevant.iter().any(|relevant| !of(relevant).candidate && !of(relevant).allows);
        relevant.iter().any(|relevant| {
            let rule = of(relevant);
            (rule.candidate != rule.allows) && (rule.candidate || !reference_denies) && covers(relevant.rule)
        })
    }

    /// Asks about one name that is not listed; included if the same statements were asked before, or the rule does not
    /// cover it.
    fn try_name(
        &mut self,
        rule: usize,
        relevant: &[Relevant],
        name: &str,
        everything: &[usize],
        seen: &mut HashSet<Vec<usize>>,
    ) -> Result<Answer, Exhausted> {
        let name = name.to_ascii_lowercase();
        let matched = |pattern: usize| self.budget.matches(self.rules.actions[pattern].name(), &name);
        let selected: Vec<usize> =
            relevant.iter().filter(|relevant| relevant.covers(matched)).map(|relevant| relevant.rule).collect();
        self.budget.check()?;
        if selected.contains(&rule) && seen.insert(selected.clone()) {
            self.ask(rule, &selected, everything)
        } else {
            Ok(Answer::Included)
        }
    }

    /// Whether `rule` allows any resource that the reference does not, given the statements that cover an unlisted
    /// action.
    fn ask(&mut self, rule: usize, selected: &[usize], universe: &[usize]) -> Result<Answer, Exhausted> {
        self.budget.spend(20 * selected.len())?;
        let latest = match self.latest.take() {
            Some((key, latest)) if key == selected => (key, latest),
            _ => {
                let latest = Selected::new(&self.rules, selected);
                self.budget.spend(20 * latest.size)?;
                (selected.to_vec(), latest)
            }
        };
        let answer = self.put(rule, &latest.1, universe, None);
        self.latest = Some(latest);
        answer
    }

    /// All sets of statements that some unlisted name matching a pattern can have, by reading the action patterns
    /// together.
    fn names(&mut self, blamed: Blamed, service: &str, relevant: &[Relevant]) -> Rc<Names> {
        let key = (service.to_owned(), blamed);
        if let Some(names) = self.names.get(&key) {
            return Rc::clone(names);
        }
        let numbers: BTreeSet<usize> = relevant.iter().flat_map(|relevant| relevant.patterns.iter().copied()).collect();
        let numbers: Vec<usize> = numbers.into_iter().collect();
        let globs: Vec<&Glob> = numbers.iter().map(|number| self.rules.actions[*number].name()).collect();
        let own: Vec<usize> =
            numbers.iter().position(|number| Blamed::Pattern(*number) == blamed).into_iter().collect();
        let listed: Vec<usize> =
            (0..numbers.len()).filter(|index| self.is_listed_literal(service, numbers[*index])).collect();
        let needed: Vec<&[usize]> = if own.is_empty() { Vec::new() } else { vec![&own] };
        let mut found: Vec<(Vec<usize>, String)> = Vec::new();
        let mut seen: HashSet<Vec<usize>> = HashSet::new();
        let mut visit = |visit: &Visit<'_>, budget: &Budget| {
            let is_own = blamed == Blamed::NotAction || own.iter().any(|own| visit.accepts(*own));
            if is_own && !visit.is_start() && !listed.iter().any(|index| visit.accepts(*index)) {
                budget.spend(numbers.len() + 10 * relevant.len())?;
                let accepted: Vec<usize> = numbers
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| visit.accepts(*index))
                    .map(|(_, number)| *number)
                    .collect();
                let selected: Vec<usize> = relevant
                    .iter()
                    .filter(|relevant| relevant.covers(|pattern| accepted.binary_search(&pattern).is_ok()))
                    .map(|relevant| relevant.rule)
                    .collect();
                if seen.insert(selected.clone()) {
                    budget.keep(2 * selected.len())?;
                    found.push((selected, visit.text()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        let complete = self
            .budget
            .part(STEPS_EACH, |part| {
                Automaton::new(&globs, "xyzabcdefghijklmnopqrstuvw0123456789", part)?.explore(&needed, part, &mut visit)
            })
            .is_ok();
        let names = Rc::new(Names { found, complete });
        self.names.insert(key, Rc::clone(&names));
        names
    }

    /// A pattern without wildcards that names a listed action: the only name that it matches is not unlisted.
    fn is_listed_literal(&self, service: &str, pattern: usize) -> bool {
        self.rules.actions[pattern].name().literal().is_some_and(|name| CATALOGUE.find(service, name).is_some())
    }

    fn record_unknown(
        &mut self,
        rule: usize,
        blamed: Blamed,
        service: &str,
        name: &str,
        answer: &Answer,
    ) -> Result<(), Exhausted> {
        let kind = self.kind_of(blamed, service)?;
        let severity = if kind == ExcessKind::Unlisted || *answer == Answer::Undecided {
            rate(service, &name.to_ascii_lowercase(), None)
        } else {
            Severity::Low
        };
        // A pattern without wildcards is best shown as it was written.
        let written = self.rules.rules[rule]
            .statement
            .actions()
            .find(|raw| raw.eq_ignore_ascii_case(&format!("{service}:{name}")));
        let action = written.map_or_else(|| format!("{service}:{name}"), str::to_owned);
        let answer = self.confirm(rule, &action, answer.clone())?;
        self.record(rule, blamed, &action, severity, kind, &answer)
    }

    /// Why a name that is not listed is excess.
    fn kind_of(&self, blamed: Blamed, service: &str) -> Result<ExcessKind, Exhausted> {
        let matches_listed = || match self.pattern(blamed) {
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
