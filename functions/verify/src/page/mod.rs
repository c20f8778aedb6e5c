//! The onboarding page: the tenant's guide, form and report in the browser.
//!
//! Everything works without a script: every step is rendered here, and every action is a form. The script copies, reads the
//! `.csv` file, looks at what was pasted before it is sent, and shows the checks while they are made.
//!
//! | module | what it holds |
//! |---|---|
//! | `settings` | whose page it is, and where it lies |
//! | `asset`, `headers` | style sheet, script and icon; what every answer tells the browser |
//! | `session`, `guard` | who may see a link's page, and whether a form came from it |
//! | `query` | what the page's own links carry along |
//! | `language`, `words`, `remedy`, `markup` | the languages, and what is said in each |
//! | `layout`, `problem_page` | the page around a step, and around a problem |
//! | `step` | the steps |
//! | `submission` | a key that was pasted: checked while the page looks on |
//! | `repair` | a provider that is checked again |

mod asset;
mod guard;
mod headers;
mod language;
mod layout;
mod markup;
mod problem_page;
mod query;
mod remedy;
mod repair;
mod session;
mod settings;
mod step;
mod submission;
pub(crate) mod words;

pub(crate) use asset::Assets;
pub(crate) use guard::require_same_origin;
pub(crate) use headers::secure;
pub(crate) use language::Language;
pub(crate) use layout::Layout;
pub(crate) use problem_page::problem_page;
pub(crate) use query::{PageQuery, PageStep};
pub(crate) use session::{cookie, session_of};
pub(crate) use settings::{InvalidPageSettings, PageSettings};
pub(crate) use step::StepView;
pub(crate) use step::checks::SubmissionProgress;
pub(crate) use words::Words;
