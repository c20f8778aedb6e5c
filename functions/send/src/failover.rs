//! Which provider sends a mail that names several: the first in its order of preference that can.
//!
//! It is decided anew each time the mail is received. At most one copy leaves whichever provider it is, because the row is the
//! tenant's mail: a claim made for one provider holds for all. In doubt, the second copy may leave through another provider.

use jiff::{SignedDuration, Timestamp};
use shared::id::ProviderId;
use shared::mail::Mail;

use crate::rate::Rates;
use crate::snapshot::{Eligibility, Snapshot};

/// How a provider would treat the mail now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Preference {
    /// It sends it, or what is in the way concerns every provider, or is ours to mend.
    Sends,
    /// The mail would wait for it.
    Waits,
    /// It never will.
    Never,
}

/// The provider for a mail: of the first kind that there is one of, the first. The mail is its own first choice if it names one.
pub(crate) fn provider_for(mail: &Mail, snapshot: &Snapshot, rates: &Rates, now: Timestamp) -> ProviderId {
    let preferences = mail.provider_ids.iter().map(|provider_id| {
        let eligibility = snapshot.eligibility_with(mail, provider_id, now);
        let quota_until = match &eligibility {
            Eligibility::Eligible(provider) => rates.quota_blocks_until(provider, now),
            _ => None,
        };
        (provider_id, preference(&eligibility, quota_until, mail))
    });
    let best = preferences.min_by_key(|(_, preference)| *preference);
    best.map_or_else(|| mail.provider_id.clone(), |(provider_id, _)| provider_id.clone())
}

/// Whether another of a mail's providers than its own may send it, now or later.
pub(crate) fn has_alternative(mail: &Mail, snapshot: &Snapshot, now: Timestamp) -> bool {
    mail.provider_ids.iter().filter(|provider_id| **provider_id != mail.provider_id).any(|provider_id| {
        preference(&snapshot.eligibility_with(mail, provider_id, now), None, mail) != Preference::Never
    })
}

fn preference(eligibility: &Eligibility, quota_until: Option<Timestamp>, mail: &Mail) -> Preference {
    match eligibility {
        Eligibility::Eligible(_) if quota_until.is_some_and(|until| until > patient_until(mail)) => Preference::Waits,
        // Another tenant's provider among them makes the mail invalid, whatever the others are.
        Eligibility::Eligible(_)
        | Eligibility::SecretMissing
        | Eligibility::TenantMismatch
        | Eligibility::Halted
        | Eligibility::ProviderUnreadable => Preference::Sends,
        Eligibility::Suspended(_) | Eligibility::Held(..) => Preference::Waits,
        Eligibility::Stopped | Eligibility::ProviderUnknown => Preference::Never,
    }
}

/// Until when a mail waits for a preferred provider whose daily quota is used up.
fn patient_until(mail: &Mail) -> Timestamp {
    let patience = mail.first_seen.saturating_add(SignedDuration::from_secs(mail.patience_s.into()));
    patience.unwrap_or(Timestamp::MAX).min(mail.expiry())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use shared::record::{Status, StatusName};

    use super::*;
    use crate::fixtures::{provider, sample_with, time};

    #[test]
    fn another_provider_is_taken_where_the_mail_would_wait_or_never_go() {
        let mail = sample_with(json!({"patience_s": 600}));
        let provider = Arc::new(provider(Status::plain(StatusName::Active)));
        let until = time("2026-11-23T10:30:00Z");
        let eligible = || Eligibility::Eligible(Arc::clone(&provider));
        let cases = [
            (eligible(), None, Preference::Sends),
            // The mail was handed over at ten and is patient for ten minutes.
            (eligible(), Some("2026-11-23T10:10:00Z"), Preference::Sends),
            (eligible(), Some("2026-11-23T10:10:01Z"), Preference::Waits),
            (Eligibility::SecretMissing, None, Preference::Sends),
            (Eligibility::Halted, None, Preference::Sends),
            (Eligibility::TenantMismatch, None, Preference::Sends),
            (Eligibility::ProviderUnreadable, None, Preference::Sends),
            (Eligibility::Suspended(Arc::clone(&provider)), None, Preference::Waits),
            (Eligibility::Held(until, Arc::clone(&provider)), None, Preference::Waits),
            (Eligibility::Stopped, None, Preference::Never),
            (Eligibility::ProviderUnknown, None, Preference::Never),
        ];
        for (eligibility, quota_until, expected) in cases {
            assert_eq!(preference(&eligibility, quota_until.map(time), &mail), expected, "{eligibility:?}");
        }
    }
}
