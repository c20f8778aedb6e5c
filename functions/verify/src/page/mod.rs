//! The onboarding page: the tenant's guide, form and report in the browser.
//!
//! | module | what it holds |
//! |---|---|
//! | `settings` | whose page it is, and where it lies |
//! | `language` | the languages, and the words of each |

mod language;
mod settings;

pub(crate) use language::Language;
pub(crate) use settings::{InvalidPageSettings, PageSettings};
