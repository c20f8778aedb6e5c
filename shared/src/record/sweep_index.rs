//! The sparse index of the sweep: which items are in it, and from when on they are due.

use jiff::{SignedDuration, Timestamp};

use super::Item;
use super::item::{string, timestamp};

/// The one partition of the index: the value of an item's `sweep` attribute.
pub(super) const PARTITION: &str = "due";

/// Another partition: rotations whose new key is a candidate. `send` looks at these.
pub(super) const CANDIDATES: &str = "rotation";

/// Another partition: configurations of tenants' SES, by when they are looked at next. `verify-worker` looks at these.
pub(super) const CONFIGURATIONS: &str = "configuration";

/// Another partition: providers, by when they are verified next. `verify-worker` looks at these.
pub(super) const WATCHED: &str = "watch";

/// Another partition: onboarding links whose end operators have to be told of. `verify` looks at these.
pub(super) const LINKS: &str = "onboarding";

/// When the sweep picks up an order and the keys that it stopped, in case whoever wrote them does not get further.
const SWEEP_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Adds an item to the index; it is due from `next_attempt_at` on.
pub(super) fn add(item: &mut Item, next_attempt_at: Timestamp) {
    add_to(item, PARTITION, next_attempt_at);
}

/// The same for one of the other partitions.
pub(super) fn add_to(item: &mut Item, partition: &str, next_attempt_at: Timestamp) {
    item.insert("sweep".to_owned(), string(partition));
    item.insert("next_attempt_at".to_owned(), timestamp(next_attempt_at));
}

/// When something that is written now is due for the sweep.
pub(super) fn due_after(now: Timestamp) -> Timestamp {
    now.saturating_add(SWEEP_AFTER).unwrap_or(now)
}
