//! AWS's access levels (AWS: Service Authorization Reference).

/// What kind of access an action gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessLevel {
    List,
    Read,
    Tagging,
    Write,
    Permissions,
}

impl AccessLevel {
    /// Reads the letter that `data/catalogue.txt` uses.
    pub(crate) fn from_letter(letter: &str) -> Self {
        match letter {
            "L" => Self::List,
            "R" => Self::Read,
            "T" => Self::Tagging,
            "P" => Self::Permissions,
            _ => Self::Write,
        }
    }
}
