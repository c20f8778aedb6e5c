//! The actions that AWS has: which statements cover each, and whether that is too much.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::budget::Exhausted;
use super::resource::{self, Answer, Selected};
use super::{Comparison, ExcessKind, MAX_ACTIONS};
use crate::catalogue::{Action, CATALOGUE, Universe};

/// Known actions that the same statements cover and that are about the same resources.
struct Group {
    selected: Vec<usize>,
    universe: usize,
    actions: Vec<&'static Action>,
}

impl Comparison<'_> {
    pub(super) fn known_actions(&mut self) {
        let Ok(groups) = self.group_actions() else {
            self.undecided();
            return;
        };
        for group in groups {
            let universe = CATALOGUE.universe(group.actions[0]);
            let globs = self.universe(group.universe, universe);
            let selected = Selected::new(&self.rules, &group.selected);
            let allows: Vec<usize> = group
                .selected
                .iter()
                .copied()
                .filter(|rule| self.rules.rules[*rule].candidate && self.rules.rules[*rule].allows)
                .collect();
            for rule in allows {
                if self.is_done() {
                    return;
                }
                if self.is_saturated(rule) {
                    continue;
                }
                let answer = self.put(rule, &selected, &globs, Some(universe));
                if answer == Answer::Included {
                    continue;
                }
                // The same statements cover all actions of the group, so one stands for all.
                let answer = self.confirm(&group.actions[0].name, answer);
                for action in &group.actions {
                    for pattern in self.patterns_for(rule, action.service, &action.lower) {
                        if self.counts.get(&(rule, pattern)).is_none_or(|count| *count < MAX_ACTIONS) {
                            self.record(rule, pattern, &action.name, action.severity, ExcessKind::Known, &answer);
                        }
                    }
                }
            }
        }
    }

    /// Whether enough has been found against all patterns of a rule.
    fn is_saturated(&self, rule: usize) -> bool {
        let full = |pattern: usize| self.counts.get(&(rule, pattern)).is_some_and(|count| *count >= MAX_ACTIONS);
        if self.rules.rules[rule].statement.excludes_actions() {
            full(usize::MAX)
        } else {
            self.rules.rules[rule].patterns.iter().all(|pattern| full(*pattern))
        }
    }

    /// Sorts the listed actions by the statements that cover them, the gravest groups first.
    fn group_actions(&mut self) -> Result<Vec<Group>, Exhausted> {
        let mut groups: BTreeMap<(Vec<usize>, usize), Vec<&'static Action>> = BTreeMap::new();
        for (prefix, service) in CATALOGUE.services() {
            let relevant = self.relevant_rules(prefix);
            if !relevant.iter().any(|(rule, _)| self.rules.rules[*rule].candidate && self.rules.rules[*rule].allows) {
                continue;
            }
            let distinct: BTreeSet<usize> =
                relevant.iter().flat_map(|(_, patterns)| patterns.iter().copied()).collect();
            let cost = 20 * distinct.len() + relevant.iter().map(|(_, patterns)| 2 + 2 * patterns.len()).sum::<usize>();
            let mut matched = vec![false; self.rules.actions.len()];
            for action in &service.actions {
                self.budget.spend(cost)?;
                for pattern in &distinct {
                    matched[*pattern] = self.rules.actions[*pattern].name().matches(&action.lower);
                }
                let covers = |patterns: &[usize]| patterns.iter().any(|pattern| matched[*pattern]);
                let selected: Vec<usize> = relevant
                    .iter()
                    .filter(|(rule, patterns)| covers(patterns) != self.rules.rules[*rule].statement.excludes_actions())
                    .map(|(rule, _)| *rule)
                    .collect();
                if selected.iter().any(|rule| self.rules.rules[*rule].candidate && self.rules.rules[*rule].allows) {
                    groups.entry((selected, action.universe)).or_default().push(action);
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

    /// The action patterns by which a rule covers an action; `usize::MAX` for `NotAction`.
    fn patterns_for(&self, rule: usize, service: &str, name: &str) -> Vec<usize> {
        let rule = &self.rules.rules[rule];
        if rule.statement.excludes_actions() {
            vec![usize::MAX]
        } else {
            rule.patterns
                .iter()
                .copied()
                .filter(|pattern| self.rules.actions[*pattern].matches(service, name))
                .collect()
        }
    }

    fn universe(&mut self, number: usize, universe: &Universe) -> Vec<usize> {
        if let Some(globs) = self.universe_globs.get(&number) {
            return globs.clone();
        }
        let globs: Vec<usize> = resource::universe_globs(universe, &self.scene.partition)
            .into_iter()
            .map(|glob| self.rules.glob(glob))
            .collect();
        self.universe_globs.insert(number, globs.clone());
        globs
    }
}
