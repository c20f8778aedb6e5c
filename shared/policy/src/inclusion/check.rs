//! The state of a comparison, and what the checks of listed and unlisted actions share.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::covering::CoveringStatements;
use super::excess::{Excess, ExcessKind, InclusionResult};
use super::question::{Containment, ResourceQuestion};
use super::statement::{ComparedStatement, ComparedStatements, RelevantStatement};
use crate::action::ActionPattern;
use crate::budget::{Budget, Exhausted};
use crate::catalogue::ResourceTypes;
use crate::evaluate::{AuthorizationRequest, SplitRequest, statement_may_allow, statement_surely_denies};
use crate::finding::MAX_FINDINGS;
use crate::principal::ResolvedPrincipal;
use crate::severity::Severity;

/// The most steps of one subset construction, so that one hard question does not leave the others undecided.
pub(super) const MAX_STEPS_OF_QUESTION: u64 = 8_000_000;

/// One comparison in progress: what it compares, what it has found, and what it caches.
pub(super) struct InclusionCheck<'c> {
    pub(super) statements: ComparedStatements<'c>,
    /// The numbers of the candidate's unconditional denies.
    denies: Vec<usize>,
    pub(super) principal: &'c ResolvedPrincipal,
    /// Whether to stop at the first excess of any kind.
    first: bool,
    pub(super) budget: &'c Budget,
    found: Vec<Excess>,
    /// How many actions each pattern at fault allows too much.
    pub(super) counts: BTreeMap<(usize, Blame), usize>,
    /// How many patterns at fault are excess.
    excess: usize,
    /// How many patterns at fault are latent.
    latent: usize,
    /// The globs of an action's resource types in a partition.
    pub(super) universes: BTreeMap<(usize, String), Rc<[usize]>>,
    /// The statements that can cover actions of a service.
    relevant: BTreeMap<String, Rc<[RelevantStatement]>>,
    /// Whether one statement settles all unlisted names of a service that a pattern matches.
    pub(super) settled: BTreeMap<(String, Blame), bool>,
    /// The covering statements of the latest unlisted name: the next name usually has the same.
    pub(super) latest: Option<(Vec<usize>, CoveringStatements)>,
    /// The sets of statements that can cover an unlisted name of a service, by service and pattern.
    pub(super) names: BTreeMap<(String, Blame), Rc<UnlistedNames>>,
}

/// The part of a statement that allows an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blame {
    /// The action pattern with this number.
    Pattern(usize),
    /// A `NotAction` that does not list the action.
    NotAction,
}

/// The sets of statements that can cover an unlisted name, each with such a name.
pub(super) struct UnlistedNames {
    pub(super) found: Vec<(Vec<usize>, String)>,
    /// Whether all sets were found within the budget.
    pub(super) is_complete: bool,
}

impl<'c> InclusionCheck<'c> {
    pub(super) fn new(
        statements: ComparedStatements<'c>,
        principal: &'c ResolvedPrincipal,
        first: bool,
        budget: &'c Budget,
    ) -> Self {
        let is_deny =
            |statement: &ComparedStatement<'_>| statement.candidate && !statement.allows && !statement.is_conditional();
        Self {
            denies: statements.numbers(is_deny),
            statements,
            principal,
            first,
            budget,
            found: Vec::new(),
            counts: BTreeMap::new(),
            excess: 0,
            latent: 0,
            universes: BTreeMap::new(),
            relevant: BTreeMap::new(),
            settled: BTreeMap::new(),
            latest: None,
            names: BTreeMap::new(),
        }
    }

    pub(super) fn into_result(self) -> InclusionResult {
        let beyond = |patterns: usize| patterns.saturating_sub(MAX_FINDINGS);
        InclusionResult { omitted: beyond(self.excess) + beyond(self.latent), found: self.found }
    }

    /// Whether the first excess is found and no other is wanted.
    pub(super) const fn is_done(&self) -> bool {
        self.first && !self.found.is_empty()
    }

    /// The action pattern to blame; `None` for `NotAction`.
    pub(super) fn pattern(&self, blame: Blame) -> Option<&ActionPattern> {
        match blame {
            Blame::Pattern(number) => Some(self.statements.actions[number]),
            Blame::NotAction => None,
        }
    }

    /// The statements that can cover an action of the service, each with those of its patterns that can.
    pub(super) fn relevant_statements(&mut self, service: &str) -> Result<Rc<[RelevantStatement]>, Exhausted> {
        if let Some(relevant) = self.relevant.get(service) {
            return Ok(Rc::clone(relevant));
        }
        self.budget.spend(5 * self.statements.size)?;
        let relevant = self.statements.relevant(service);
        self.budget.keep(relevant.iter().map(|statement| 4 + statement.patterns.len()).sum())?;
        let relevant: Rc<[RelevantStatement]> = relevant.into();
        self.relevant.insert(service.to_owned(), Rc::clone(&relevant));
        Ok(relevant)
    }

    /// Decides one question within its own part of the budget.
    pub(super) fn decide(
        &self,
        statement: usize,
        covering: &CoveringStatements,
        universe: &[usize],
        types: Option<&ResourceTypes>,
    ) -> Result<Containment, Exhausted> {
        let wide_stars = types.is_none_or(|types| types.wide_stars);
        let containment = self.budget.part(MAX_STEPS_OF_QUESTION, |part| {
            ResourceQuestion::new(&self.statements, covering, statement, wide_stars).decide(
                universe,
                types,
                self.principal,
                part,
            )
        });
        self.budget.check()?;
        Ok(containment)
    }

    /// Turns an excess into an undecided one unless the evaluator confirms it: whatever the subset construction says,
    /// no wrong witness is shown.
    pub(super) fn confirm(
        &self,
        statement: usize,
        action: &str,
        containment: Containment,
    ) -> Result<Containment, Exhausted> {
        match &containment {
            Containment::Exceeds { resource, .. } if !self.allows(statement, action, resource)? => {
                Ok(Containment::Undecided)
            }
            _ => Ok(containment),
        }
    }

    /// Like [`may_allow`](crate::may_allow), with this statement as the only allow.
    fn allows(&self, statement: usize, action: &str, resource: &str) -> Result<bool, Exhausted> {
        let request = AuthorizationRequest { action, resource, context: &self.principal.context };
        let request = SplitRequest::new(&request);
        let denies = |deny: &usize| statement_surely_denies(self.statements[*deny].source, &request, self.budget);
        let allows = statement_may_allow(self.statements[statement].source, &request, self.budget)
            && !self.denies.iter().any(denies);
        self.budget.check()?;
        Ok(allows)
    }

    /// The severity, lowered if the statement covers a single role or only the principal itself.
    fn severity(
        &self,
        statement: usize,
        action: &str,
        severity: Severity,
        resource: Option<&str>,
    ) -> Result<Severity, Exhausted> {
        let lower = action.to_ascii_lowercase();
        if lower == "sts:assumerole" {
            let every_role = self.allows(statement, action, &self.principal.iam_arn("role/one"))?
                && self.allows(statement, action, &self.principal.iam_arn("role/other"))?;
            return Ok(if every_role { severity } else { Severity::High });
        }
        let own = resource == Some(self.principal.user_arn.as_str());
        if lower.starts_with("iam:get") && severity == Severity::Medium && own {
            return Ok(if self.allows(statement, action, &self.principal.iam_arn("user/other"))? {
                severity
            } else {
                Severity::Low
            });
        }
        Ok(severity)
    }

    /// Adds the excess to what was found, unless its pattern is beyond the limit of findings.
    pub(super) fn record(
        &mut self,
        statement: usize,
        blame: Blame,
        action: &str,
        severity: Severity,
        kind: ExcessKind,
        containment: &Containment,
    ) -> Result<(), Exhausted> {
        let (kind, resource, conditional) = match containment {
            Containment::Included => return Ok(()),
            Containment::Exceeds { resource, conditional } => (kind, Some(resource.clone()), *conditional),
            Containment::Undecided => (ExcessKind::Undecided, None, self.statements[statement].is_conditional()),
        };
        let count = self.counts.entry((statement, blame)).or_default();
        *count += 1;
        // Counted separately, so that no number of latent findings crowds out what is excess today.
        let patterns = if kind == ExcessKind::Latent { &mut self.latent } else { &mut self.excess };
        *patterns += usize::from(*count == 1);
        if *patterns > MAX_FINDINGS {
            return Ok(());
        }
        let severity = self.severity(statement, action, severity, resource.as_deref())?;
        let by = &self.statements[statement];
        self.found.push(Excess {
            document: by.document,
            statement: by.index,
            pattern: match blame {
                Blame::Pattern(number) => by.spelling(number).map(str::to_owned),
                Blame::NotAction => None,
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
