//! How often a fault happens.

use serde::Deserialize;
use serde_json::Number;

use crate::aws::random;

/// How often a fault happens: a whole number is a count, a fraction a chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Number")]
pub(crate) enum Occasion {
    /// Never.
    #[default]
    Never,
    /// The next so many times.
    Times(u64),
    /// Each time with this probability.
    Chance(f64),
}

impl TryFrom<Number> for Occasion {
    type Error = &'static str;

    fn try_from(number: Number) -> Result<Self, Self::Error> {
        let chance = || number.as_f64().and_then(Self::chance);
        number.as_u64().map(Self::Times).or_else(chance).ok_or("a count, or a chance from 0 to 1")
    }
}

impl Occasion {
    /// A chance; `None` where it is not from 0 to 1.
    pub(super) fn chance(chance: f64) -> Option<Self> {
        (0.0..=1.0).contains(&chance).then_some(Self::Chance(chance))
    }

    /// Whether it happens now; uses up one of a count.
    pub(crate) fn strikes(&mut self) -> bool {
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
