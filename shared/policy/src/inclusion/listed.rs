//! Checks the actions that the catalogue lists: which statements cover each, and whether that is too much.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::check::{Blame, InclusionCheck};
use super::covering::CoveringStatements;
use super::excess::ExcessKind;
use super::question::Containment;
use crate::budget::Exhausted;
use crate::catalogue::{Action, CATALOGUE, ResourceTypes};
use crate::glob::{Glob, Token};
use crate::resource::type_globs;

/// The most actions listed for one action pattern; the most severe come first.
const MAX_ACTIONS_OF_PATTERN: usize = 24;

/// Actions that the same statements cover and that have the same resource types.
struct ActionGroup {
    covering: Vec<usize>,
    /// Index of the resource types.
    resource_types: usize,
    actions: Vec<&'static Action>,
}

impl InclusionCheck<'_> {
    /// Finds the listed actions that the candidate allows and the reference does not.
    pub(super) fn check_listed_actions(&mut self) -> Result<(), Exhausted> {
        for group in self.group_listed_actions()? {
            self.budget.spend(10 * group.covering.len())?;
            let covering = CoveringStatements::new(&self.statements, &group.covering);
            self.budget.spend(20 * covering.size)?;
            for statement in group.covering.iter().copied() {
                if self.is_done() {
                    return Ok(());
                }
                if self.statements.is_candidate_allow(statement) {
                    self.check_group(statement, &group, &covering)?;
                }
            }
        }
        Ok(())
    }

    /// Records the actions of the group if the statement allows too much of them. The same statements cover all of
    /// them, so one action stands for all.
    fn check_group(
        &mut self,
        statement: usize,
        group: &ActionGroup,
        covering: &CoveringStatements,
    ) -> Result<(), Exhausted> {
        self.budget.spend(20 * (1 + self.statements[statement].patterns.len()))?;
        if self.is_saturated(statement) {
            return Ok(());
        }
        let containment = self.decide_in_partitions(statement, group, covering)?;
        if containment == Containment::Included {
            return Ok(());
        }
        let containment = self.confirm(statement, &group.actions[0].name, containment)?;
        for action in &group.actions {
            for blame in self.blames(statement, action)? {
                if self.counts.get(&(statement, blame)).is_none_or(|count| *count < MAX_ACTIONS_OF_PATTERN) {
                    self.record(statement, blame, &action.name, action.severity, ExcessKind::Listed, &containment)?;
                }
            }
        }
        Ok(())
    }

    /// Decides for the resources of the principal's partition, and then of the partitions that the statement names: an
    /// allow for another partition means what it says.
    fn decide_in_partitions(
        &mut self,
        statement: usize,
        group: &ActionGroup,
        covering: &CoveringStatements,
    ) -> Result<Containment, Exhausted> {
        let types = CATALOGUE.resource_types(group.actions[0]);
        let principal = self.principal;
        let mut partitions = vec![principal.partition];
        partitions.extend(self.statements[statement].partitions.iter().filter(|named| **named != principal.partition));
        for partition in partitions {
            let universe = self.universe(group.resource_types, types, partition);
            let containment = self.decide(statement, covering, &universe, Some(types))?;
            if containment != Containment::Included {
                return Ok(containment);
            }
        }
        Ok(Containment::Included)
    }

    /// Whether all patterns of a statement have as many findings as are listed.
    fn is_saturated(&self, statement: usize) -> bool {
        let full =
            |blame: Blame| self.counts.get(&(statement, blame)).is_some_and(|count| *count >= MAX_ACTIONS_OF_PATTERN);
        if self.statements[statement].excludes_actions() {
            full(Blame::NotAction)
        } else {
            self.statements[statement].patterns.iter().all(|pattern| full(Blame::Pattern(*pattern)))
        }
    }

    /// Groups the listed actions by the statements that cover them, the most severe groups first.
    fn group_listed_actions(&mut self) -> Result<Vec<ActionGroup>, Exhausted> {
        let mut groups: BTreeMap<(Vec<usize>, usize), Vec<&'static Action>> = BTreeMap::new();
        for (prefix, service) in CATALOGUE.services() {
            let relevant = self.relevant_statements(prefix)?;
            if !relevant.iter().any(|relevant| self.statements.is_candidate_allow(relevant.statement)) {
                continue;
            }
            let distinct: BTreeSet<usize> =
                relevant.iter().flat_map(|relevant| relevant.patterns.iter().copied()).collect();
            let cost = relevant.iter().map(|relevant| 2 + 2 * relevant.patterns.len()).sum::<usize>();
            let mut matched = vec![false; self.statements.actions.len()];
            for action in &service.actions {
                self.budget.spend(cost)?;
                for pattern in &distinct {
                    matched[*pattern] = self.budget.matches(self.statements.actions[*pattern].name(), &action.lower);
                }
                self.budget.check()?;
                let covering: Vec<usize> = relevant
                    .iter()
                    .filter(|relevant| relevant.covers(|pattern| matched[pattern]))
                    .map(|relevant| relevant.statement)
                    .collect();
                if covering.iter().any(|statement| self.statements.is_candidate_allow(*statement)) {
                    // Finding its group compares it with some other groups.
                    self.budget.spend(4 * covering.len())?;
                    let words = covering.len();
                    let group = groups.entry((covering, action.resource_types)).or_default();
                    if group.is_empty() {
                        self.budget.keep(words)?;
                    }
                    group.push(action);
                }
            }
        }
        let mut groups: Vec<ActionGroup> = groups
            .into_iter()
            .map(|((covering, resource_types), actions)| ActionGroup { covering, resource_types, actions })
            .collect();
        for group in &mut groups {
            group.actions.sort_by_key(|action| Reverse(action.severity));
        }
        groups.sort_by_key(|group| Reverse(group.actions[0].severity));
        Ok(groups)
    }

    /// The parts of a statement that cover an action.
    fn blames(&self, statement: usize, action: &Action) -> Result<Vec<Blame>, Exhausted> {
        let statement = &self.statements[statement];
        if statement.excludes_actions() {
            return Ok(vec![Blame::NotAction]);
        }
        let covers = |pattern: &usize| {
            let pattern = self.statements.actions[*pattern];
            pattern.service().is_none_or(|own| own == action.service)
                && self.budget.matches(pattern.name(), &action.lower)
        };
        self.budget.charge(10 * statement.patterns.len());
        let blames = statement.patterns.iter().copied().filter(covers).map(Blame::Pattern).collect();
        self.budget.check()?;
        Ok(blames)
    }

    /// The resources of these types as globs.
    fn universe(&mut self, index: usize, types: &ResourceTypes, partition: &str) -> Rc<[usize]> {
        let key = (index, partition.to_owned());
        if let Some(globs) = self.universes.get(&key) {
            return Rc::clone(globs);
        }
        let of_types = types.arns.iter().flat_map(|arn| type_globs(arn, partition));
        let star = types.allows_star.then(|| Glob::new([Token::Literal('*')]));
        let globs = of_types.chain(star).map(|glob| self.statements.glob(glob)).collect();
        Rc::clone(self.universes.entry(key).or_insert(globs))
    }
}
