#![doc = include_str!("../README.md")]

mod action;
mod answer;
mod arn;
mod budget;
mod case;
mod catalogue;
mod condition;
mod context;
mod document;
mod evaluate;
mod finding;
mod glob;
mod inclusion;
mod json;
mod notice;
mod problem;
mod reference;
mod severity;
mod subject;
mod truth;
mod variable;
mod verdict;

pub use answer::{Answer, MAX_PROBLEMS, Placed};
pub use case::{CaseOutcome, Failure, fixture, run_cases};
pub use condition::{Condition, Operator, Qualifier};
pub use context::{Context, ContextValue};
pub use document::{Document, Effect, MAX_BYTES, MAX_CHARACTERS, Statement, Version};
pub use evaluate::{Applies, Considered, Decision, Outcome, Request, StatementRef, evaluate, may_allow};
pub use finding::{Finding, FindingKind, Source, Witness};
pub use problem::{Class, Level, ParseError, Problem};
pub use reference::{CLASSIC_VERSION, HARDENED_VERSION, Style, classic, hardened};
pub use severity::Severity;
pub use subject::{CheckedSubject, Subject};
pub use verdict::{Gap, MAX_FINDINGS, Report, Verdict, check, excess_over, is_excess};
