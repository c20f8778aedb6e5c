#![doc = include_str!("../README.md")]

mod access_level;
mod account_id;
mod action;
mod bounds;
mod budget;
mod case;
mod catalogue;
mod check;
mod condition;
mod context;
mod document;
mod evaluate;
mod finding;
mod glob;
mod inclusion;
mod json;
mod principal;
mod problem;
mod published;
mod resource;
mod severity;
mod truth;
mod variable;

pub use bounds::{optional_actions, required_actions};
pub use case::{CaseFailure, CaseOutcome, case_principal, run_cases};
pub use check::{
    BlockingCondition, CheckOutput, ConditionTopic, Gap, GapCause, LocatedProblem, MAX_PROBLEMS, PolicyReport,
    Question, Verdict, check, excess_over, explain_missing, is_excess,
};
pub use condition::{Condition, ConditionOperator, Qualifier};
pub use context::{ContextValue, RequestContext};
pub use document::{Effect, MAX_BYTES, MAX_CHARACTERS, PolicyDocument, Statement, Unwrapped, Version};
pub use evaluate::{
    Applies, AuthorizationRequest, ConsideredStatement, Decision, Evaluation, StatementRef, evaluate, may_allow,
};
pub use finding::{Finding, FindingKind, FindingSource, FindingSubject, MAX_FINDINGS, Witness};
pub use principal::{Principal, ResolvedPrincipal};
pub use problem::{DocumentProblem, ParseError, ProblemClass, ProblemLevel};
pub use published::{
    AttachAs, CLASSIC_VERSION, HARDENED_CONFIGURE_PAUSE_VERSION, HARDENED_CONFIGURE_VERSION, HARDENED_PAUSE_VERSION,
    HARDENED_VERSION, MAX_INLINE_CHARACTERS, PUBLISHED, PolicyStyle, PublishedPolicy, classic, hardened, published,
};
pub use severity::Severity;
