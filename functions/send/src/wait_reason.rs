//! What a mail waits for, in the word that its state shows.

/// What a mail waits for. README.md ("Operate") lists these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitReason {
    /// A start in the account's send rate.
    Rate,
    /// The account's daily quota is used up.
    DailyQuota,
    /// The end of the provider's suspension.
    Suspended,
    /// The end of the operator's hold.
    Held,
    /// SES gives no answers.
    Outage,
    /// The time that it names itself.
    NotBefore,
}

impl WaitReason {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] =
        [Self::Rate, Self::DailyQuota, Self::Suspended, Self::Held, Self::Outage, Self::NotBefore];

    /// The word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::DailyQuota => "daily_quota",
            Self::Suspended => "suspended",
            Self::Held => "held",
            Self::Outage => "outage",
            Self::NotBefore => "not_before",
        }
    }

    /// Whether failover takes another provider because of it.
    pub(crate) const fn is_of_provider(self) -> bool {
        matches!(self, Self::DailyQuota | Self::Suspended | Self::Held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_names_what_mail_waits_for() {
        let readme = include_str!("../../../README.md");
        for word in WaitReason::ALL.map(WaitReason::as_str) {
            assert!(readme.contains(&format!("`{word}`")), "README.md does not list `{word}`");
        }
    }
}
