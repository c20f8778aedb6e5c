//! Why a template cannot be brought up.

/// Where a template cannot be brought up, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    line: usize,
    path: String,
    reason: String,
}

impl TemplateError {
    /// An error at a line (counted from 1) and a dotted path such as `Resources.SendQueue.Properties.DelaySeconds`.
    pub(crate) fn at(line: usize, path: &str, reason: impl Into<String>) -> Self {
        Self { line, path: path.to_owned(), reason: reason.into() }
    }
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "line {}: {}", self.line, self.reason),
            path => write!(f, "line {}: {path}: {}", self.line, self.reason),
        }
    }
}

impl std::error::Error for TemplateError {}
