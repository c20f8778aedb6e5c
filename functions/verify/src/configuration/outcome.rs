//! What an answer changes about a configuration, and what a complete look comes to.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::record::{
    Configuration, ConfigurationLook, ConfigurationNews, ConfigurationState, IdentityState, MAX_CHANGES,
    MAX_IDENTITIES, MadeChange, MissingRight, SetChange, SetSeen, StartedChange, StuckConfiguration,
};
use shared::runtime::Ambient;
use shared::tenant::IdentityList;

use super::step::ConfigurationStep;

/// What a call came to.
pub(super) enum CallOutcome {
    /// The set was looked at.
    Seen(SetSeen),
    /// The change was made.
    Made,
    /// The set is there, or is not, against what was seen.
    Moved,
    /// The identities.
    Listed(IdentityList),
    /// A domain was looked at; `None` if it is gone.
    Read(Option<IdentityState>),
    /// The key may not do it.
    Denied(MissingRight),
    /// There was no answer that says anything; why.
    Unanswered(String),
}

/// How often a configuration is looked at.
const DAILY: SignedDuration = SignedDuration::from_hours(24);

/// By how much a look is later at most, in seconds, so that looks of one hour spread.
const JITTER_S: u64 = 2 * 60 * 60;

/// How often, as long as a right has been missing for less than a day: somebody may be mending it.
const HOURLY: SignedDuration = SignedDuration::from_hours(1);

/// The pause after an attempt without an answer; it doubles.
pub(super) const FIRST_RETRY: SignedDuration = SignedDuration::from_mins(1);

/// The longest such pause.
const LAST_RETRY: SignedDuration = SignedDuration::from_hours(6);

/// The configuration with a change noted that is about to be sent.
pub(super) fn started(read: &Configuration, change: SetChange, now: Timestamp) -> Configuration {
    Configuration { started: Some(StartedChange { change, at: now }), ..read.clone() }
}

/// The configuration after a call.
pub(super) fn after_call(
    read: &Configuration,
    step: &ConfigurationStep,
    outcome: CallOutcome,
    now: Timestamp,
) -> Configuration {
    let mut after = read.clone();
    let look = after.look.get_or_insert_default();
    match outcome {
        CallOutcome::Unanswered(reason) => {
            let (since, attempts) = read.stuck.as_ref().map_or((now, 0), |stuck| (stuck.since, stuck.attempts));
            after.stuck = Some(StuckConfiguration { reason, since, attempts: attempts.saturating_add(1) });
            return after;
        }
        CallOutcome::Seen(seen) => {
            look.set = Some(seen);
            if let Some(sent) = after.started.take().filter(|sent| shows(seen, sent.change)) {
                note_change(&mut after, sent);
            }
        }
        CallOutcome::Made => {
            if let ConfigurationStep::Change(change) = step {
                look.set = look.set.map(|seen| with_change(seen, *change));
                let sent = after.started.take().unwrap_or(StartedChange { change: *change, at: now });
                note_change(&mut after, sent);
            }
        }
        CallOutcome::Moved => {
            look.set = None;
            after.started = None;
        }
        CallOutcome::Listed(list) => {
            look.has_more_identities = !list.complete || list.identities.len() > MAX_IDENTITIES;
            let mut listed = list.identities;
            // Those first that need something, so that they are among those that are kept.
            listed.sort_by_key(|identity| (identity.sending_enabled, !identity.is_domain));
            listed.truncate(MAX_IDENTITIES);
            look.unread = listed.iter().filter(|found| found.is_domain).map(|found| found.name.clone()).collect();
            let identities = listed.into_iter().map(|found| IdentityState {
                name: found.name,
                verified: found.sending_enabled,
                dns_records: None,
                hints: Vec::new(),
            });
            look.identities = Some(identities.collect());
        }
        CallOutcome::Read(identity) => {
            if let ConfigurationStep::LookAtDomain(domain) = step {
                look.unread.retain(|unread| unread != domain);
                let identities = look.identities.get_or_insert_default();
                match (identities.iter().position(|known| known.name == *domain), identity) {
                    (Some(place), Some(identity)) => identities[place] = identity,
                    (Some(place), None) => drop(identities.remove(place)),
                    (None, _) => {}
                }
            }
        }
        CallOutcome::Denied(right) => {
            match step {
                ConfigurationStep::LookAtSet => look.set = Some(SetSeen::Hidden),
                ConfigurationStep::Change(change) => drop(look.not_again.insert(*change)),
                ConfigurationStep::ListIdentities => look.identities = Some(Vec::new()),
                // Who may not look at one may hardly look at the others, and each costs a second.
                ConfigurationStep::LookAtDomain(_) => look.unread.clear(),
                ConfigurationStep::Finish => {}
            }
            look.denied.push(right);
            after.started = None;
        }
    }
    after.stuck = None;
    after
}

/// The configuration after a complete look.
pub(super) fn finished(read: &Configuration, now: Timestamp) -> Configuration {
    let look = read.look.clone().unwrap_or_default();
    let state = state_of(read, &look);
    let since = |right: &MissingRight| {
        let known = read.missing_rights.iter().find(|known| is_same(known, right));
        known.map_or(right.since, |known| known.since)
    };
    let missing_rights: Vec<_> =
        look.denied.iter().map(|right| MissingRight { since: since(right), ..right.clone() }).collect();
    let actions = |rights: &[MissingRight]| rights.iter().map(|right| right.action.clone()).collect::<BTreeSet<_>>();
    let is_news =
        state != read.state || !look.made.is_empty() || actions(&missing_rights) != actions(&read.missing_rights);
    let made: Vec<_> = look.made.iter().map(|made| made.change).collect();
    let news = match (&read.news, is_news) {
        (Some(news), _) => Some(ConfigurationNews { changes: [news.changes.clone(), made].concat() }),
        (None, true) => Some(ConfigurationNews { changes: made }),
        (None, false) => None,
    };
    Configuration {
        state,
        looked_at: Some(now),
        missing_rights,
        identities: look.identities.unwrap_or_default(),
        has_more_identities: look.has_more_identities,
        look: None,
        stuck: None,
        news,
        ..read.clone()
    }
}

/// When a configuration is looked at next; `None` if nothing is left to do.
pub(super) fn next_attempt_at(configuration: &Configuration, now: Timestamp, ambient: &Ambient) -> Option<Timestamp> {
    let after = |pause: SignedDuration| now.saturating_add(pause).unwrap_or(now);
    if let Some(stuck) = &configuration.stuck {
        let doubled = FIRST_RETRY.saturating_mul(1 << stuck.attempts.saturating_sub(1).min(16));
        return Some(after(doubled.min(LAST_RETRY)));
    }
    // A look that is not complete, or that operators were not told of: in case its worker has died.
    if configuration.look.is_some() || configuration.news.is_some() {
        return Some(after(FIRST_RETRY));
    }
    if configuration.state == ConfigurationState::Removed {
        return None;
    }
    let recently = |right: &MissingRight| now.duration_since(right.since) < DAILY;
    if configuration.missing_rights.iter().any(recently) {
        return Some(after(HOURLY));
    }
    let jitter = SignedDuration::try_from(Duration::from_secs(ambient.below(JITTER_S))).unwrap_or_default();
    Some(after(DAILY + jitter))
}

fn state_of(read: &Configuration, look: &ConfigurationLook) -> ConfigurationState {
    match (read.is_wanted(), look.set) {
        (_, None) => read.state,
        (true, Some(SetSeen::Ours { requires_tls: true, suppresses: true })) => ConfigurationState::Standing,
        (true, Some(SetSeen::Foreign)) => ConfigurationState::Foreign,
        (false, Some(SetSeen::Absent | SetSeen::Foreign)) => ConfigurationState::Removed,
        // Nobody sees it, and nobody made it.
        (false, Some(SetSeen::Hidden)) if read.changes.is_empty() => ConfigurationState::Removed,
        (true, Some(SetSeen::Absent | SetSeen::Ours { .. } | SetSeen::Hidden))
        | (false, Some(SetSeen::Ours { .. } | SetSeen::Hidden)) => ConfigurationState::RightsMissing,
    }
}

/// Whether a set looks as if this change had been made.
fn shows(seen: SetSeen, change: SetChange) -> bool {
    match (change, seen) {
        (SetChange::Create, SetSeen::Ours { .. }) | (SetChange::Delete, SetSeen::Absent) => true,
        (SetChange::RequireTls, SetSeen::Ours { requires_tls, .. }) => requires_tls,
        (SetChange::Suppress, SetSeen::Ours { suppresses, .. }) => suppresses,
        _ => false,
    }
}

fn with_change(seen: SetSeen, change: SetChange) -> SetSeen {
    match (change, seen) {
        (SetChange::Create, _) => SetSeen::Ours { requires_tls: true, suppresses: true },
        (SetChange::Delete, _) => SetSeen::Absent,
        (SetChange::RequireTls, SetSeen::Ours { suppresses, .. }) => SetSeen::Ours { requires_tls: true, suppresses },
        (SetChange::Suppress, SetSeen::Ours { requires_tls, .. }) => SetSeen::Ours { requires_tls, suppresses: true },
        (_, seen) => seen,
    }
}

fn note_change(configuration: &mut Configuration, sent: StartedChange) {
    let repaired_drift = match sent.change {
        SetChange::Create => configuration.state == ConfigurationState::Standing,
        SetChange::RequireTls | SetChange::Suppress => true,
        SetChange::Delete => false,
    };
    let made = MadeChange { change: sent.change, at: sent.at, repaired_drift };
    configuration.look.get_or_insert_default().made.push(made);
    configuration.changes.push(made);
    let excess = configuration.changes.len().saturating_sub(MAX_CHANGES);
    configuration.changes.drain(..excess);
}

fn is_same(left: &MissingRight, right: &MissingRight) -> bool {
    left.action == right.action && left.resource == right.resource
}

#[cfg(test)]
mod tests {
    use shared::record::ConfigurationConsent;
    use shared::tenant::ListedIdentity;

    use super::super::step::{next_step, resumed};
    use super::ConfigurationStep::{Change, ListIdentities, LookAtDomain, LookAtSet};
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap()
    }

    fn agreed() -> Configuration {
        resumed(&Configuration::agreed(at(0), "arn"))
    }

    fn right(action: &str) -> MissingRight {
        MissingRight { action: action.to_owned(), resource: "*".to_owned(), is_explicit: false, since: at(0) }
    }

    const GOOD: SetSeen = SetSeen::Ours { requires_tls: true, suppresses: true };

    /// Makes the steps until the look is complete, each with the answer of `answer`.
    fn look(read: &Configuration, mut answer: impl FnMut(&ConfigurationStep) -> CallOutcome) -> Configuration {
        let mut configuration = resumed(read);
        for _ in 0..20 {
            let step = next_step(&configuration);
            if step == ConfigurationStep::Finish {
                return finished(&configuration, at(1));
            }
            if let Change(change) = step {
                configuration = started(&configuration, change, at(0));
            }
            configuration = after_call(&configuration, &step, answer(&step), at(0));
        }
        panic!("no end: {configuration:?}");
    }

    fn no_identities() -> CallOutcome {
        CallOutcome::Listed(IdentityList { identities: Vec::new(), complete: true })
    }

    #[test]
    fn a_first_look_makes_the_set_and_a_later_one_changes_nothing_and_is_no_news() {
        let first = look(&agreed(), |step| match step {
            LookAtSet => CallOutcome::Seen(SetSeen::Absent),
            Change(SetChange::Create) => CallOutcome::Made,
            ListIdentities => no_identities(),
            other => panic!("{other:?}"),
        });
        assert_eq!(first.state, ConfigurationState::Standing);
        assert_eq!(first.changes, [MadeChange { change: SetChange::Create, at: at(0), repaired_drift: false }]);
        assert_eq!(first.news, Some(ConfigurationNews { changes: vec![SetChange::Create] }));
        assert!(first.look.is_none() && first.started.is_none() && first.looked_at == Some(at(1)));

        let told = Configuration { news: None, ..first };
        let again = look(&told, |step| match step {
            LookAtSet => CallOutcome::Seen(GOOD),
            ListIdentities => no_identities(),
            other => panic!("{other:?}"),
        });
        assert_eq!((again.state, &again.news, again.changes.len()), (ConfigurationState::Standing, &None, 1));
    }

    #[test]
    fn drift_is_repaired_and_noted_as_such() {
        let standing = Configuration { state: ConfigurationState::Standing, ..agreed() };
        for (seen, expected) in [
            (SetSeen::Absent, vec![SetChange::Create]),
            (SetSeen::Ours { requires_tls: false, suppresses: true }, vec![SetChange::RequireTls]),
            (
                SetSeen::Ours { requires_tls: false, suppresses: false },
                vec![SetChange::RequireTls, SetChange::Suppress],
            ),
        ] {
            let after = look(&standing, |step| match step {
                LookAtSet => CallOutcome::Seen(seen),
                Change(_) => CallOutcome::Made,
                _ => no_identities(),
            });
            let made: Vec<_> = after.changes.iter().map(|made| made.change).collect();
            assert_eq!((made, after.state), (expected, ConfigurationState::Standing), "{seen:?}");
            assert!(after.changes.iter().all(|made| made.repaired_drift), "{seen:?}");
        }
    }

    /// Whatever the call did before its worker was killed: what is seen decides, and nothing is noted that was not made.
    #[test]
    fn a_change_whose_answer_is_not_known_is_noted_if_the_set_shows_it() {
        let cases = [
            (SetChange::Create, GOOD, 1),
            (SetChange::Create, SetSeen::Absent, 0),
            (SetChange::Create, SetSeen::Foreign, 0),
            (SetChange::RequireTls, SetSeen::Ours { requires_tls: true, suppresses: false }, 1),
            (SetChange::RequireTls, SetSeen::Ours { requires_tls: false, suppresses: false }, 0),
            (SetChange::Suppress, GOOD, 1),
            (SetChange::Suppress, SetSeen::Absent, 0),
            (SetChange::Delete, SetSeen::Absent, 1),
            (SetChange::Delete, GOOD, 0),
            (SetChange::Delete, SetSeen::Hidden, 0),
        ];
        for (change, seen, expected) in cases {
            let killed = started(&agreed(), change, at(0));
            let after = after_call(&resumed(&killed), &LookAtSet, CallOutcome::Seen(seen), at(5));
            assert_eq!(after.changes.len(), expected, "{change:?} {seen:?}");
            assert!(after.started.is_none() && after.changes.iter().all(|made| made.at == at(0)), "{change:?}");
        }
    }

    #[test]
    fn what_is_denied_is_said_since_when_it_is_missing_and_the_rest_is_done() {
        let denying = |step: &ConfigurationStep| match step {
            LookAtSet => CallOutcome::Denied(right("ses:GetConfigurationSet")),
            ListIdentities => CallOutcome::Denied(right("ses:ListEmailIdentities")),
            other => panic!("{other:?}"),
        };
        let first = look(&agreed(), denying);
        assert_eq!(first.state, ConfigurationState::RightsMissing);
        let actions: Vec<_> = first.missing_rights.iter().map(|right| right.action.as_str()).collect();
        assert_eq!(actions, ["ses:GetConfigurationSet", "ses:ListEmailIdentities"]);
        assert!(first.news.is_some());

        let told = Configuration { news: None, ..first };
        let later = MissingRight { since: at(99), ..right("ses:GetConfigurationSet") };
        let again = look(&told, |step| match step {
            LookAtSet => CallOutcome::Denied(later.clone()),
            _ => denying(step),
        });
        assert_eq!((&again.news, again.missing_rights[0].since), (&None, at(0)));

        // A denied change does not stop the others, and is not tried again in the look.
        let mut tried = Vec::new();
        let half = look(&told, |step| match step {
            LookAtSet => CallOutcome::Seen(SetSeen::Ours { requires_tls: false, suppresses: false }),
            Change(SetChange::RequireTls) => {
                tried.push(SetChange::RequireTls);
                CallOutcome::Denied(right("ses:PutConfigurationSetDeliveryOptions"))
            }
            Change(_) => CallOutcome::Made,
            _ => no_identities(),
        });
        assert_eq!(tried.len(), 1);
        assert_eq!((half.state, half.changes.len()), (ConfigurationState::RightsMissing, 1));
        let mended = look(&half, |step| match step {
            LookAtSet => CallOutcome::Seen(GOOD),
            _ => no_identities(),
        });
        assert_eq!((mended.state, mended.missing_rights.len()), (ConfigurationState::Standing, 0));
    }

    #[test]
    fn a_foreign_set_is_left_alone_and_said() {
        let after = look(&agreed(), |step| match step {
            LookAtSet => CallOutcome::Seen(SetSeen::Foreign),
            ListIdentities => no_identities(),
            other => panic!("{other:?}"),
        });
        assert_eq!((after.state, after.changes.len()), (ConfigurationState::Foreign, 0));
    }

    #[test]
    fn a_withdrawn_consent_takes_down_what_is_ours_and_then_nothing_is_left_to_do() {
        let ambient = Ambient::system();
        let withdrawn = ConfigurationConsent { at: at(0), signed_by: "arn".to_owned() };
        let read = Configuration { state: ConfigurationState::Standing, withdrawn: Some(withdrawn), ..agreed() };
        for (seen, deletions) in [(GOOD, 1), (SetSeen::Absent, 0), (SetSeen::Foreign, 0), (SetSeen::Hidden, 0)] {
            let mut count = 0;
            let after = look(&read, |step| match step {
                LookAtSet => CallOutcome::Seen(seen),
                Change(SetChange::Delete) => {
                    count += 1;
                    CallOutcome::Made
                }
                other => panic!("{other:?}"),
            });
            assert_eq!((after.state, count), (ConfigurationState::Removed, deletions), "{seen:?}");
            assert_eq!(next_attempt_at(&after, at(2), &ambient), Some(at(3)), "it is to be told first");
            let told = Configuration { news: None, ..after };
            assert_eq!(next_attempt_at(&told, at(2), &ambient), None);
        }
        // It was made, and nobody sees whether it is gone.
        let made = MadeChange { change: SetChange::Create, at: at(0), repaired_drift: false };
        let hidden = Configuration { changes: vec![made], ..read };
        let after = look(&hidden, |_| CallOutcome::Denied(right("ses:GetConfigurationSet")));
        assert_eq!(after.state, ConfigurationState::RightsMissing);
    }

    #[test]
    fn identities_that_need_something_are_read_first_and_one_that_is_gone_is_left_out() {
        let identity = |name: &str, is_domain, sending_enabled| ListedIdentity {
            name: name.to_owned(),
            is_domain,
            sending_enabled,
        };
        let mut read = Vec::new();
        let after = look(&agreed(), |step| match step {
            LookAtSet => CallOutcome::Seen(GOOD),
            ListIdentities => CallOutcome::Listed(IdentityList {
                identities: vec![
                    identity("good.example", true, true),
                    identity("jane@example.org", false, false),
                    identity("new.example", true, false),
                    identity("gone.example", true, false),
                ],
                complete: false,
            }),
            LookAtDomain(domain) => {
                read.push(domain.clone());
                CallOutcome::Read((domain != "gone.example").then(|| IdentityState {
                    name: domain.clone(),
                    verified: true,
                    dns_records: Some(Vec::new()),
                    hints: Vec::new(),
                }))
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(read, ["new.example", "gone.example", "good.example"]);
        let shown: Vec<_> =
            after.identities.iter().map(|state| (state.name.as_str(), state.dns_records.is_some())).collect();
        assert_eq!(shown, [("new.example", true), ("jane@example.org", false), ("good.example", true)]);
        assert!(after.has_more_identities);
    }

    #[test]
    fn looks_are_daily_hourly_while_a_right_is_freshly_missing_and_farther_apart_without_answers() {
        let ambient = Ambient::system();
        let standing = Configuration { state: ConfigurationState::Standing, look: None, ..agreed() };
        let wait = |configuration: &Configuration, now: Timestamp| {
            next_attempt_at(configuration, now, &ambient).unwrap().duration_since(now)
        };
        assert!(wait(&standing, at(0)) >= DAILY && wait(&standing, at(0)) <= DAILY + SignedDuration::from_hours(2));
        let missing = Configuration { missing_rights: vec![right("ses:GetEmailIdentity")], ..standing.clone() };
        assert_eq!(wait(&missing, at(60)), HOURLY);
        assert!(wait(&missing, at(60 * 25)) >= DAILY);
        let mut stuck = standing;
        for minutes in [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360] {
            stuck = after_call(&stuck, &LookAtSet, CallOutcome::Unanswered("throttled".to_owned()), at(7));
            assert_eq!(wait(&stuck, at(0)), SignedDuration::from_mins(minutes));
        }
        assert_eq!(stuck.stuck.as_ref().map(|stuck| stuck.since), Some(at(7)));
        let answered = after_call(&stuck, &LookAtSet, CallOutcome::Seen(GOOD), at(8));
        assert_eq!(answered.stuck, None);
        assert_eq!(wait(&answered, at(0)), FIRST_RETRY);
    }

    #[test]
    fn a_set_that_appeared_or_went_meanwhile_is_looked_at_again() {
        let read = after_call(&agreed(), &LookAtSet, CallOutcome::Seen(SetSeen::Absent), at(0));
        let sent = started(&read, SetChange::Create, at(0));
        let after = after_call(&sent, &Change(SetChange::Create), CallOutcome::Moved, at(0));
        assert_eq!((next_step(&after), after.changes.len(), after.started), (LookAtSet, 0, None));
    }
}
