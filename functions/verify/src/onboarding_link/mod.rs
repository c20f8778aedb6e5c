//! Onboarding links: what an operator may ask for, how long a link lives, and what operators are told of it.

mod request;
mod return_url;
mod told;
mod view;

use jiff::SignedDuration;

pub(crate) use request::{LinkRequest, is_account_id};
pub(crate) use return_url::{InvalidReturnUrls, ReturnUrls};
pub(crate) use told::onboarding_event;
pub(crate) use view::{LinkList, LinkView, NewLinkView};

/// How long a link can be opened unless the request says otherwise.
pub(crate) const DEFAULT_LENGTH: SignedDuration = SignedDuration::from_hours(24);

/// How long it can be opened at most.
pub(crate) const MAX_LENGTH: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The shortest that makes sense: somebody has to read a mail and click.
pub(crate) const MIN_LENGTH: SignedDuration = SignedDuration::from_mins(5);

/// How long a page's session lasts after it was last used.
pub(crate) const SESSION_LENGTH: SignedDuration = SignedDuration::from_mins(30);
