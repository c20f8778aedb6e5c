//! What a comparison finds.

use crate::document::{Effect, PolicyDocument};
use crate::evaluate::{LocatedStatement, all_statements};
use crate::severity::Severity;

/// The result of a comparison.
#[derive(Debug, Default)]
pub(crate) struct InclusionResult {
    pub(crate) found: Vec<Excess>,
    /// How many patterns at fault `found` leaves out.
    pub(crate) omitted: usize,
}

/// Something the candidate allows and the reference does not.
#[derive(Clone, Debug)]
pub(crate) struct Excess {
    pub(crate) document: usize,
    pub(crate) statement: usize,
    /// The action pattern at fault; `None` for `NotAction`.
    pub(crate) pattern: Option<String>,
    pub(crate) kind: ExcessKind,
    pub(crate) action: String,
    /// A resource that proves it; `None` if undecided.
    pub(crate) resource: Option<String>,
    pub(crate) conditional: bool,
    pub(crate) severity: Severity,
}

/// Why something is excess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExcessKind {
    /// The catalogue lists the action.
    Listed,
    /// The service exists. The action is not listed, but may exist.
    Unlisted,
    /// The service is not known.
    UnknownService,
    /// All actions of the service are listed and the pattern matches none: a typo, or newer than the catalogue.
    NoSuchAction,
    /// Matches nothing that exists today, but would match future names.
    Latent,
    /// Too expensive to decide.
    Undecided,
    /// The budget ran out before everything was compared.
    Unfinished,
}

/// Stands for everything that was not compared because the budget ran out: every allow is in doubt, and the first
/// stands for all.
pub(super) fn unfinished(candidate: &[PolicyDocument]) -> Option<Excess> {
    let LocatedStatement { document, index, statement } =
        all_statements(candidate).find(|located| located.statement.effect() == Effect::Allow)?;
    Some(Excess {
        document,
        statement: index,
        pattern: None,
        kind: ExcessKind::Unfinished,
        action: statement.actions().next().unwrap_or("*").to_owned(),
        resource: None,
        conditional: !statement.conditions().is_empty(),
        severity: Severity::High,
    })
}
