//! A statement: effect, actions, resources, conditions.

use crate::action::ActionPattern;
use crate::condition::Condition;
use crate::resource::ResourcePattern;

/// One statement of a policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) actions: PatternSelection<ActionPattern>,
    pub(crate) resources: PatternSelection<ResourcePattern>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) line: usize,
    /// Whether `${…}` is a variable.
    pub(crate) has_variables: bool,
}

/// What a statement does with the requests it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Allows them, unless another statement denies them.
    Allow,
    /// Denies them, whatever else allows them.
    Deny,
}

impl Effect {
    /// The word that policies use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// A list of patterns. Inverted (`NotAction`, `NotResource`), it selects everything that none of them matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternSelection<P> {
    pub(crate) inverted: bool,
    pub(crate) patterns: Vec<P>,
}

impl Statement {
    /// The `Sid`, unless it is absent or empty.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref().filter(|sid| !sid.is_empty())
    }

    /// The `Effect` element.
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// The line on which the statement begins, counted from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The conditions. All must hold for the statement to apply.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The patterns of `Action`, or of `NotAction` if [`Statement::excludes_actions`].
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.patterns.iter().map(ActionPattern::raw)
    }

    /// Whether the statement has `NotAction`.
    pub const fn excludes_actions(&self) -> bool {
        self.actions.inverted
    }

    /// The patterns of `Resource`, or of `NotResource` if [`Statement::excludes_resources`].
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.patterns.iter().map(ResourcePattern::raw)
    }

    /// Whether the statement has `NotResource`.
    pub const fn excludes_resources(&self) -> bool {
        self.resources.inverted
    }
}
