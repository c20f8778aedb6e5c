//! How often a fault happens.

use serde::Deserialize;

use crate::random;

/// How often a fault happens: a whole number is a count, a fraction a chance, null is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum FaultTrigger {
    /// Never.
    #[default]
    Never,
    /// The next so many times.
    Times(u64),
    /// Each time with this probability.
    Chance(f64),
}

impl FaultTrigger {
    /// Whether it can happen as it says: a chance is from 0 to 1.
    pub(super) fn is_possible(self) -> bool {
        match self {
            Self::Never | Self::Times(_) => true,
            Self::Chance(chance) => (0.0..=1.0).contains(&chance),
        }
    }

    /// Whether it happens now; uses up one of a count.
    pub(super) fn fire(&mut self) -> bool {
        match self {
            Self::Never | Self::Times(0) => false,
            Self::Times(left) => {
                *left -= 1;
                true
            }
            Self::Chance(chance) => random::fraction() < *chance,
        }
    }
}
