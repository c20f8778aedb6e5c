//! Resource patterns: `*`, ARNs with wildcards and variables, and the short ARNs that IAM completes.

mod arn_glob;
mod validation;

pub(crate) use self::arn_glob::{Reach, condition_glob, type_globs};
pub(crate) use self::validation::format_problem;

use self::arn_glob::completed_glob;
use crate::budget::Budget;
use crate::context::RequestContext;
use crate::glob::Glob;
use crate::truth::Truth;
use crate::variable::{PolicyString, ResolvedString};

/// A pattern of `Resource` or `NotResource`, compared with case (AWS: IAM user guide, "IAM JSON policy elements:
/// Resource").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResourcePattern {
    raw: String,
    string: PolicyString,
    /// The globs for both reaches, built once; `None` for patterns with variables, and for `*`.
    fixed: Option<[Glob; 2]>,
}

/// A resource pattern with its variables resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResolvedResource {
    /// All variables are known: exactly these resources.
    Exact(Glob),
    /// A variable is unknown: at most these resources.
    AtMost(Glob),
    /// A variable has no value: no resource.
    Nothing,
}

impl ResolvedResource {
    pub(crate) fn matches(&self, resource: &str, budget: &Budget) -> Truth {
        match self {
            Self::Exact(glob) => budget.matches(glob, resource).into(),
            Self::AtMost(glob) if budget.matches(glob, resource) => Truth::Unknown,
            Self::AtMost(_) | Self::Nothing => Truth::False,
        }
    }
}

impl ResourcePattern {
    /// A pattern as a policy writes it; [`format_problem`] checks its format.
    pub(crate) fn new(raw: &str, string: PolicyString) -> Self {
        let fixed = match string.resolve(&RequestContext::partial()) {
            ResolvedString::Exact(pieces) if raw != "*" => {
                Some([Reach::Documented, Reach::Segments].map(|reach| completed_glob(&pieces, reach)))
            }
            _ => None,
        };
        Self { raw: raw.to_owned(), string, fixed }
    }

    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.raw == "*"
    }

    /// The partition, if the pattern names one.
    pub(crate) fn partition(&self) -> Option<&str> {
        self.raw.split(':').nth(1).filter(|partition| !partition.contains(['*', '?', '$']))
    }

    /// What [`resolve`](Self::resolve) costs, in nanoseconds.
    pub(crate) fn effort(&self) -> usize {
        if self.fixed.is_some() || self.is_everything() { 20 } else { 20 * self.string.size() }
    }

    /// Resolves the variables and completes a short ARN with `*`, as IAM does (`arn:aws:iam` is `arn:aws:iam:*:*:*`).
    pub(crate) fn resolve(&self, context: &RequestContext, reach: Reach) -> ResolvedResource {
        if self.is_everything() {
            return ResolvedResource::Exact(Glob::anything());
        }
        if let Some([documented, segments]) = &self.fixed {
            return ResolvedResource::Exact(if reach == Reach::Documented {
                documented.clone()
            } else {
                segments.clone()
            });
        }
        match self.string.resolve(context) {
            ResolvedString::Exact(pieces) => ResolvedResource::Exact(completed_glob(&pieces, reach)),
            ResolvedString::Loose(pieces) => ResolvedResource::AtMost(completed_glob(&pieces, reach)),
            ResolvedString::Nothing => ResolvedResource::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(raw: &str, reach: Reach) -> Glob {
        let ResolvedResource::Exact(glob) =
            ResourcePattern::new(raw, PolicyString::parse(raw).unwrap()).resolve(&RequestContext::new(), reach)
        else {
            panic!("no variables here")
        };
        glob
    }

    #[test]
    fn a_star_at_the_end_of_a_segment_reaches_over_colons() {
        let resource = "arn:aws:sns:us-east-1:123456789012:a:topic";
        assert!(glob("arn:aws:sns:us-east-1:*:topic", Reach::Documented).matches(resource));
        assert!(!glob("arn:aws:sns:us-east-1:*:topic", Reach::Segments).matches(resource));
        assert!(!glob("arn:aws:sns:us-east-1:1*a:topic", Reach::Documented).matches(resource));
        assert!(glob("arn:aws:logs:*:*:log-group:a*c", Reach::Segments).matches("arn:aws:logs:r:1:log-group:a:b:c"));
    }

    #[test]
    fn a_short_arn_is_completed() {
        for raw in ["arn:aws:iam", "arn:aws:iam:", "arn:aws:iam::", "arn:aws:iam::123456789012", "arn:aws:iam::*"] {
            for reach in [Reach::Documented, Reach::Segments] {
                assert!(glob(raw, reach).matches("arn:aws:iam::123456789012:user/a") || raw.ends_with("::"), "{raw}");
            }
        }
        assert!(!glob("arn:aws:iam::111111111111", Reach::Documented).matches("arn:aws:iam::123456789012:user/a"));
    }
}
