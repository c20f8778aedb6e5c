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

pub use case::{CaseFailure, CaseOutcome, case_principal, run_cases};
pub use check::{CheckOutput, Gap, LocatedProblem, MAX_PROBLEMS, PolicyReport, Verdict, check, excess_over, is_excess};
pub use condition::{Condition, ConditionOperator, Qualifier};
pub use context::{ContextValue, RequestContext};
pub use document::{Effect, MAX_BYTES, MAX_CHARACTERS, PolicyDocument, Statement, Version};
pub use evaluate::{
    Applies, AuthorizationRequest, ConsideredStatement, Decision, Evaluation, StatementRef, evaluate, may_allow,
};
pub use finding::{Finding, FindingKind, FindingSource, MAX_FINDINGS, Witness};
pub use principal::{Principal, ResolvedPrincipal};
pub use problem::{DocumentProblem, ParseError, ProblemClass, ProblemLevel};
pub use published::{CLASSIC_VERSION, HARDENED_VERSION, PolicyStyle, classic, hardened};
pub use severity::Severity;
