//! Action patterns: `ses:SendEmail`, `iam:*AccessKey*`, `*`.

use crate::glob::Glob;

/// A pattern of `Action` or `NotAction`. Prefix and name are compared without case (AWS: IAM user guide, "IAM JSON
/// policy elements: Action").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ActionPattern {
    raw: String,
    /// In lower case; `None` means any service.
    service: Option<String>,
    /// In lower case.
    name: Glob,
}

impl ActionPattern {
    /// Parses `*`, `service:name` or `*:name`.
    ///
    /// # Errors
    /// Message and remedy. IAM's own error messages are recorded in moto's test vectors ("Actions/Conditions must be
    /// prefaced by a vendor", "can contain only one colon", "Vendor s* is not valid").
    pub(crate) fn parse(raw: &str) -> Result<Self, (String, String)> {
        let error = |message: String, remedy: &str| Err((message, remedy.to_owned()));
        if raw == "*" {
            return Ok(Self { raw: raw.to_owned(), service: None, name: Glob::anything() });
        }
        let Some((service, name)) = raw.split_once(':') else {
            return error(
                format!("The action {raw:?} has no service prefix."),
                "Write it as \"service:Action\", for example \"ses:SendEmail\".",
            );
        };
        if name.contains(':') {
            return error(
                format!("The action {raw:?} has more than one colon."),
                "Write it as \"service:Action\", for example \"ses:SendEmail\".",
            );
        }
        if name.is_empty() {
            return error(
                format!("The action {raw:?} has no name after the colon."),
                "Name the action, for example \"ses:SendEmail\".",
            );
        }
        let service = match service {
            "*" => None,
            "" => {
                return error(
                    format!("The action {raw:?} has no service prefix."),
                    "Write it as \"service:Action\", for example \"ses:SendEmail\".",
                );
            }
            _ if service
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '.')) =>
            {
                Some(service.to_ascii_lowercase())
            }
            _ => {
                return error(
                    format!("The service prefix of {raw:?} is not valid."),
                    "A prefix is one service, without wildcards: write each service out.",
                );
            }
        };
        Ok(Self { raw: raw.to_owned(), service, name: Glob::parse(&name.to_ascii_lowercase()) })
    }

    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    pub(crate) fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    pub(crate) const fn name(&self) -> &Glob {
        &self.name
    }

    /// Whether it matches an action, given as service and name in lower case.
    pub(crate) fn matches(&self, service: &str, name: &str) -> bool {
        self.service.as_deref().is_none_or(|own| own == service) && self.name.matches(name)
    }

    /// A cheap proof that it matches every action that `other` matches; `false` means "not proven".
    pub(crate) fn plainly_covers(&self, other: &Self) -> bool {
        (self.service.is_none() || self.service == other.service) && self.name.plainly_covers(&other.name)
    }
}

/// Splits a requested action into service and name, in lower case. Without a colon the service is empty, and only `*`
/// matches it.
pub(crate) fn split_action(action: &str) -> (String, String) {
    let lower = action.to_ascii_lowercase();
    match lower.split_once(':') {
        Some((service, name)) => (service.to_owned(), name.to_owned()),
        None => (String::new(), lower),
    }
}
