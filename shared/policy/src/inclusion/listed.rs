//! The actions that AWS has: which statements cover each, and whether that is too much.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::resource::{Answer, Selected, universe_globs};
use super::{Blamed, Comparison, ExcessKind, MAX_ACTIONS};
use crate::budget::Exhausted;
use crate::catalogue::{Action, CATALOGUE, Universe};

/// Known actions that the same statements cover and that are about the same resources.
struct Group {
    selected: Vec<usize>,
    universe: usize,
    actions: Vec<&'static Action>,
}

impl Comparison<'_> {
    pub(super) fn known_actions(&mut self) -> Result<(), Exhausted> {
        for group in self.group_actions()? {
            self.budget.spend(10 * group.selected.len())?;
            let selected = Selected::new(&self.rules, &group.selected);
            self.budget.spend(20 * selected.size)?;
            for rule in group.selected.iter().copied() {
                if self.is_done() {
                    return Ok(());
                }
                if self.rules.is_in_question(rule) {
                    self.ask_of_group(rule, &group, &selected)?;
                }
            }
        }
        Ok(())
    }

    /// Records the actions of the group that the rule allows too much of. The same statements cover all of them, so one
    /// stands for all.
    fn ask_of_group(&mut self, rule: usize, group: &Group, selected: &Selected) -> Result<(), Exhausted> {
        self.budget.spend(20 * (1 + self.rules.rules[rule].patterns.len()))?;
        if self.is_saturated(rule) {
            return Ok(());
        }
        let answer = self.ask_in_partitions(rule, group, selected)?;
        if answer == Answer::Included {
            return Ok(());
        }
        let answer = self.confirm(rule, &group.actions[0].name, answer)?;
        for action in &group.actions {
            for blamed in self.blamed_for(rule, action)? {
                if self.counts.get(&(rule, blamed)).is_none_or(|count| *count < MAX_ACTIONS) {
                    self.record(rule, blamed, &action.name, action.severity, ExcessKind::Known, &answer)?;
                }
            }
        }
        Ok(())
    }

    /// Asks about the resources of the user's partition, and then of those that the statement names: an allow is taken at
    /// its word.
    fn ask_in_partitions(&mut self, rule: usize, group: &Group, selected: &Selected) -> Result<Answer, Exhausted> {
        let kinds = CATALOGUE.universe(group.actions[0]);
        let scene = self.scene;
        let mut partitions = vec![scene.partition.as_str()];
        partitions.extend(self.rules.rules[rule].partitions.iter().filter(|named| **named != scene.partition));
        for partition in partitions {
            let universe = self.universe(group.universe, kinds, partition);
            let answer = self.put(rule, selected, &universe, Some(kinds))?;
            if answer != Answer::Included {
                return Ok(answer);
            }
        }
        Ok(Answer::Included)
    }

    /// Whether enough has been found against all patterns of a rule.
    fn is_saturated(&self, rule: usize) -> bool {
        let full = |blamed: Blamed| self.counts.get(&(rule, blamed)).is_some_and(|count| *count >= MAX_ACTIONS);
        if self.rules.rules[rule].statement.excludes_actions() {
            full(Blamed::NotAction)
        } else {
            self.rules.rules[rule].patterns.iter().all(|pattern| full(Blamed::Pattern(*pattern)))
        }
    }

    /// Sorts the listed actions by the statements that cover them, the gravest groups first.
    fn group_actions(&mut self) -> Result<Vec<Group>, Exhausted> {
        let mut groups: BTreeMap<(Vec<usize>, usize), Vec<&'static Action>> = BTreeMap::new();
        for (prefix, service) in CATALOGUE.services() {
            let relevant = self.relevant_rules(prefix)?;
            if !relevant.iter().any(|relevant| self.rules.is_in_question(relevant.rule)) {
                continue;
            }
            let distinct: BTreeSet<usize> =
                relevant.iter().flat_map(|relevant| relevant.patterns.iter().copied()).collect();
            let cost = relevant.iter().map(|relevant| 2 + 2 * relevant.patterns.len()).sum::<usize>();
            let mut matched = vec![false; self.rules.actions.len()];
            for action in &service.actions {
                self.budget.spend(cost)?;
                for pattern in &distinct {
                    matched[*pattern] = self.budget.matches(self.rules.actions[*pattern].name(), &action.lower);
                }
                self.budget.check()?;
                let selected: Vec<usize> = relevant
                    .iter()
                    .filter(|relevant| relevant.covers(|pattern| matched[pattern]))
                    .map(|relevant| relevant.rule)
                    .collect();
                if selected.iter().any(|rule| self.rules.is_in_question(*rule)) {
                    // Looking for its group compares it with some others.
                    self.budget.spend(4 * selected.len())?;
                    let words = selected.len();
                    let group = groups.entry((selected, action.universe)).or_default();
                    if group.is_empty() {
                        self.budget.keep(words)?;
                    }
                    group.push(action);
                }
            }
        }
        let mut groups: Vec<Group> =
            groups.into_iter().map(|((selected, universe), actions)| Group { selected, universe, actions }).collect();
        for group in &mut groups {
            group.actions.sort_by_key(|action| Reverse(action.severity));
        }
        groups.sort_by_key(|group| Reverse(group.actions[0].severity));
        Ok(groups)
    }

    /// What in a rule covers an action.
    fn blamed_for(&self, rule: usize, action: &Action) -> Result<Vec<Blamed>, Exhausted> {
        let rule = &self.rules.rules[rule];
        if rule.statement.excludes_actions() {
            return Ok(vec![Blamed::NotAction]);
        }
        let covers = |pattern: &usize| {
            let pattern = self.rules.actions[*pattern];
            pattern.service().is_none_or(|own| own == action.service)
                && self.budget.matches(pattern.name(), &action.lower)
        };
        self.budget.charge(10 * rule.patterns.len());
        let blamed = rule.patterns.iter().copied().filter(covers).map(Blamed::Pattern).collect();
        self.budget.check()?;
        Ok(blamed)
    }

    fn universe(&mut self, number: usize, universe: &Universe, partition: &str) -> Rc<[usize]> {
        let key = (number, partition.to_owned());
        if let Some(globs) = self.universe_globs.get(&key) {
            return Rc::clone(globs);
        }
        let globs = universe_globs(universe, partition).into_iter().map(|glob| self.rules.glob(glob)).collect();
        Rc::clone(self.universe_globs.entry(key).or_insert(globs))
    }
}
