//! What is done next about a configuration: what is wanted against what is seen.

use shared::record::{Configuration, ConfigurationLook, SetChange, SetSeen};

/// One call, or the end of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConfigurationStep {
    /// Look at the configuration set of our name.
    LookAtSet,
    /// Change it.
    Change(SetChange),
    /// List the identities.
    ListIdentities,
    /// Look at this domain.
    LookAtDomain(String),
    /// All is seen and done.
    Finish,
}

/// The configuration as an invocation goes on with it. Who makes changes has looked at the set itself: somebody may have replaced it since.
pub(super) fn resumed(read: &Configuration) -> Configuration {
    let look = read.look.clone().unwrap_or_default();
    let look = if look.identities.is_some() && read.started.is_none() {
        look
    } else {
        ConfigurationLook { made: look.made, ..ConfigurationLook::default() }
    };
    Configuration { look: Some(look), ..read.clone() }
}

/// The next step.
pub(super) fn next_step(configuration: &Configuration) -> ConfigurationStep {
    let look = configuration.look.as_ref();
    let Some((look, seen)) = look.and_then(|look| Some((look, look.set?))) else { return ConfigurationStep::LookAtSet };
    let needed = changes_needed(configuration.is_wanted(), seen);
    if let Some(change) = needed.iter().find(|change| !look.not_again.contains(change)) {
        return ConfigurationStep::Change(*change);
    }
    if !configuration.is_wanted() {
        return ConfigurationStep::Finish;
    }
    match (&look.identities, look.unread.first()) {
        (None, _) => ConfigurationStep::ListIdentities,
        (Some(_), Some(domain)) => ConfigurationStep::LookAtDomain(domain.clone()),
        (Some(_), None) => ConfigurationStep::Finish,
    }
}

/// The changes that make a set what it should be. One that is not ours is left alone.
fn changes_needed(is_wanted: bool, seen: SetSeen) -> &'static [SetChange] {
    match (is_wanted, seen) {
        (true, SetSeen::Absent) => &[SetChange::Create],
        (true, SetSeen::Ours { requires_tls, suppresses }) => match (requires_tls, suppresses) {
            (false, false) => &[SetChange::RequireTls, SetChange::Suppress],
            (false, true) => &[SetChange::RequireTls],
            (true, false) => &[SetChange::Suppress],
            (true, true) => &[],
        },
        (false, SetSeen::Ours { .. }) => &[SetChange::Delete],
        (false, SetSeen::Absent) | (_, SetSeen::Foreign | SetSeen::Hidden) => &[],
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use shared::record::{ConfigurationConsent, StartedChange};

    use super::ConfigurationStep::{Change, Finish, ListIdentities, LookAtDomain, LookAtSet};
    use super::*;

    fn configuration(is_wanted: bool, look: Option<ConfigurationLook>) -> Configuration {
        let agreed = Configuration::agreed(Timestamp::UNIX_EPOCH, "arn");
        let withdrawn = ConfigurationConsent { at: Timestamp::UNIX_EPOCH, signed_by: "arn".to_owned() };
        Configuration { withdrawn: (!is_wanted).then_some(withdrawn), look, ..agreed }
    }

    fn seen(set: SetSeen) -> ConfigurationLook {
        ConfigurationLook { set: Some(set), ..ConfigurationLook::default() }
    }

    const fn ours(requires_tls: bool, suppresses: bool) -> SetSeen {
        SetSeen::Ours { requires_tls, suppresses }
    }

    #[test]
    fn what_is_wanted_against_what_is_seen_says_what_is_next() {
        let listed = |unread: &[&str]| ConfigurationLook {
            identities: Some(Vec::new()),
            unread: unread.iter().map(|name| (*name).to_owned()).collect(),
            ..seen(ours(true, true))
        };
        let denied = |set, changes: &[SetChange]| ConfigurationLook {
            not_again: changes.iter().copied().collect(),
            ..seen(set)
        };
        let cases = [
            (true, None, LookAtSet),
            (true, Some(ConfigurationLook::default()), LookAtSet),
            (false, Some(ConfigurationLook::default()), LookAtSet),
            (true, Some(seen(SetSeen::Absent)), Change(SetChange::Create)),
            (true, Some(seen(ours(false, true))), Change(SetChange::RequireTls)),
            (true, Some(seen(ours(true, false))), Change(SetChange::Suppress)),
            (true, Some(seen(ours(false, false))), Change(SetChange::RequireTls)),
            (true, Some(seen(ours(true, true))), ListIdentities),
            // What is not ours is left alone, and so is what the key may not see; the identities are told all the same.
            (true, Some(seen(SetSeen::Foreign)), ListIdentities),
            (true, Some(seen(SetSeen::Hidden)), ListIdentities),
            (true, Some(denied(SetSeen::Absent, &[SetChange::Create])), ListIdentities),
            (true, Some(denied(ours(false, false), &[SetChange::RequireTls])), Change(SetChange::Suppress)),
            (true, Some(denied(ours(false, false), &[SetChange::RequireTls, SetChange::Suppress])), ListIdentities),
            (true, Some(listed(&["a.example", "b.example"])), LookAtDomain("a.example".to_owned())),
            (true, Some(listed(&[])), Finish),
            (false, Some(seen(ours(true, true))), Change(SetChange::Delete)),
            (false, Some(seen(ours(false, false))), Change(SetChange::Delete)),
            (false, Some(denied(ours(true, true), &[SetChange::Delete])), Finish),
            (false, Some(seen(SetSeen::Absent)), Finish),
            (false, Some(seen(SetSeen::Foreign)), Finish),
            (false, Some(seen(SetSeen::Hidden)), Finish),
        ];
        for (is_wanted, look, expected) in cases {
            assert_eq!(next_step(&configuration(is_wanted, look.clone())), expected, "{is_wanted} {look:?}");
        }
    }

    #[test]
    fn an_invocation_looks_at_the_set_itself_before_it_changes_it_and_reads_on_where_another_ended() {
        let reading = ConfigurationLook {
            identities: Some(Vec::new()),
            unread: vec!["b.example".to_owned()],
            ..seen(ours(true, true))
        };
        let cases = [
            (None, None, LookAtSet),
            (Some(seen(SetSeen::Absent)), None, LookAtSet),
            (Some(seen(ours(false, true))), Some(SetChange::RequireTls), LookAtSet),
            (Some(reading), None, LookAtDomain("b.example".to_owned())),
        ];
        for (look, started, expected) in cases {
            let started = started.map(|change| StartedChange { change, at: Timestamp::UNIX_EPOCH });
            let read = Configuration { started, ..configuration(true, look) };
            assert_eq!(next_step(&resumed(&read)), expected, "{read:?}");
        }
    }
}
