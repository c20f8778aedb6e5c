//! Which Region is meant: the one in which identities of the account can send.

use shared::record::{Check, CheckName, RegionSuggestion};
use shared::tenant::{EmailIdentity, Failure, FailureKind as Kind, Region};

use super::TRY_AGAIN;

/// The call that shows an account's identities.
const LIST: &str = "ses:ListEmailIdentities";

/// What is known of the Region that a key is for.
pub(crate) enum RegionChoice {
    /// It was named by somebody who knows, or no other could be meant.
    Named,
    /// The tenant chose it among others. `confirmed`: once more, after it was told that identities can send in another.
    Chosen {
        /// The Regions that may be meant.
        among: Vec<Region>,
        /// Whether the tenant means it in spite of that.
        confirmed: bool,
    },
    /// The tenant did not choose.
    Open {
        /// The Regions that may be meant.
        among: Vec<Region>,
    },
}

/// What SES answers about an account's identities in one Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegionAnswer {
    /// So many of them can send.
    Identities(usize),
    /// The key may not list them, which says nothing about them.
    Denied,
    /// SES does not know the key there: the account has not enabled the Region, or the key is new.
    KeyRefused,
    /// No answer that says anything.
    Silent,
}

/// Why it is not clear which Region is meant.
#[derive(Debug)]
pub(crate) struct RegionDoubt {
    /// The check that says so.
    pub(crate) check: Check,
    /// The Regions to choose from.
    pub(crate) suggestion: RegionSuggestion,
}

/// The answers of some Regions.
#[derive(Debug, Default)]
pub(crate) struct RegionSearch(pub(crate) Vec<(Region, RegionAnswer)>);

impl RegionAnswer {
    /// What an answer says.
    pub(crate) fn read(answer: &Result<Vec<EmailIdentity>, Failure>) -> Self {
        match answer {
            Ok(identities) => Self::Identities(identities.iter().filter(|identity| identity.sending_enabled).count()),
            Err(Failure { kind: Kind::Denied(_), .. }) => Self::Denied,
            Err(Failure { kind: Kind::KeyRefused, .. }) => Self::KeyRefused,
            Err(_) => Self::Silent,
        }
    }
}

impl RegionSearch {
    /// Whether the key may not list identities: then the next Region is not asked either.
    pub(crate) fn is_denied(&self) -> bool {
        self.0.iter().any(|(_, answer)| *answer == RegionAnswer::Denied)
    }

    /// The Regions in which identities can send.
    pub(crate) fn verified_in(&self) -> Vec<Region> {
        let can_send = |answer: &RegionAnswer| matches!(answer, RegionAnswer::Identities(count) if *count > 0);
        self.0.iter().filter(|(_, answer)| can_send(answer)).map(|(region, _)| *region).collect()
    }

    /// What was seen.
    pub(crate) fn evidence(&self) -> String {
        let found = self.0.iter().filter_map(|(region, answer)| match answer {
            RegionAnswer::Identities(count) if *count > 0 => Some(format!("{count} can send in {region}")),
            _ => None,
        });
        let none = |answer: RegionAnswer, words: &str| {
            let count = self.0.iter().filter(|(_, seen)| *seen == answer).count();
            (count > 0).then(|| format!("{words} in {count}"))
        };
        let others = [
            none(RegionAnswer::Identities(0), "none"),
            none(RegionAnswer::Denied, "denied"),
            none(RegionAnswer::KeyRefused, "key not known"),
            none(RegionAnswer::Silent, "no answer"),
        ];
        let parts: Vec<String> = found.chain(others.into_iter().flatten()).collect();
        format!("{LIST}: {}", parts.join(", "))
    }

    /// The Region that is meant where none was chosen: the only one in which identities can send.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) fn find(&self) -> Result<Region, Box<RegionDoubt>> {
        let verified_in = self.verified_in();
        if let [region] = verified_in.as_slice() {
            return Ok(*region);
        }
        let (name, seen) = (CheckName::SesRegion, self.evidence());
        let is_silent = self.0.iter().any(|(_, answer)| *answer == RegionAnswer::Silent);
        let check = match verified_in.is_empty() {
            false => Check::failed(
                name,
                seen,
                format!(
                    "Domains or addresses are verified in {}. Choose the Region that mail is to be sent from.",
                    list(&verified_in)
                ),
            ),
            true if self.is_denied() => Check::failed(
                name,
                seen,
                "No Region was chosen, and the key may not list the identities of the account (ses:ListEmailIdentities). Choose the Region in which your domains and addresses are verified.",
            ),
            true if is_silent => Check::unknown(name, seen, TRY_AGAIN),
            true => Check::failed(
                name,
                seen,
                "No domain or address is verified in any Region that may be meant. Choose the one in which you want to use Amazon SES, and verify your domain there.",
            ),
        };
        Err(Box::new(RegionDoubt { check, suggestion: RegionSuggestion { chosen: None, verified_in } }))
    }

    /// Whether the Region that was chosen is doubtful: nothing can send there, but in another Region something can. `None` if it
    /// is not.
    pub(crate) fn doubt(&self, chosen: Region, confirmed: bool) -> Option<RegionDoubt> {
        let answered = self.0.contains(&(chosen, RegionAnswer::Identities(0)));
        let verified_in = self.verified_in();
        if !answered || verified_in.is_empty() {
            return None;
        }
        let (name, seen, others) = (CheckName::SesRegion, self.evidence(), list(&verified_in));
        let check = match confirmed {
            false => Check::failed(
                name,
                seen,
                format!(
                    "No domain or address is verified in {chosen}, but some are in {others}. Choose the Region that mail is to be sent from; choose {chosen} again if you mean it."
                ),
            ),
            true => Check::warning(
                name,
                seen,
                format!(
                    "No domain or address is verified in {chosen}, but some are in {others}. Verify your domain in {chosen} before mail is sent."
                ),
            ),
        };
        Some(RegionDoubt { check, suggestion: RegionSuggestion { chosen: Some(chosen), verified_in } })
    }
}

/// Regions, for people.
fn list(regions: &[Region]) -> String {
    regions.iter().map(|region| region.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use shared::record::CheckOutcome::{Failed, Unknown, Warning};

    use super::*;
    use crate::fixtures::failure::{NO_ALLOW, denied, key_refused, silent, throttled};
    use crate::page::{Language, Words};

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn search(answers: &[(&str, RegionAnswer)]) -> RegionSearch {
        RegionSearch(answers.iter().map(|(name, answer)| (region(name), *answer)).collect())
    }

    fn assert_said(check: &Check) {
        let remedy = check.remedy.as_deref().unwrap();
        assert!(Words::of(Language::German).knows_remedy(remedy), "{remedy}");
        assert!(check.evidence.starts_with(LIST), "{check:?}");
    }

    #[test]
    fn an_answer_counts_what_can_send_and_a_denial_is_no_absence() {
        let identity = |sending_enabled| EmailIdentity { name: "example.com".to_owned(), sending_enabled };
        for (answer, expected) in [
            (Ok(vec![identity(true), identity(false)]), RegionAnswer::Identities(1)),
            (Ok(vec![]), RegionAnswer::Identities(0)),
            (Err(denied(LIST, "*", NO_ALLOW)), RegionAnswer::Denied),
            (Err(key_refused()), RegionAnswer::KeyRefused),
            (Err(throttled()), RegionAnswer::Silent),
            (Err(silent()), RegionAnswer::Silent),
        ] {
            assert_eq!(RegionAnswer::read(&answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn where_none_was_chosen_the_only_one_with_identities_is_meant() {
        use RegionAnswer::{Denied, Identities, KeyRefused, Silent};
        let found = search(&[
            ("us-east-1", Identities(0)),
            ("eu-west-1", Identities(2)),
            ("ap-south-1", KeyRefused),
            ("eu-west-2", Silent),
        ]);
        assert_eq!(found.find().unwrap().as_str(), "eu-west-1");
        assert_eq!(
            found.evidence(),
            "ses:ListEmailIdentities: 2 can send in eu-west-1, none in 1, key not known in 1, no answer in 1"
        );
        for (answers, outcome, verified_in, says) in [
            (vec![("us-east-1", Identities(1)), ("eu-west-1", Identities(2))], Failed, 2, "us-east-1, eu-west-1"),
            (vec![("us-east-1", Denied)], Failed, 0, "may not list"),
            (vec![("us-east-1", Identities(0)), ("eu-west-1", Denied)], Failed, 0, "may not list"),
            (vec![("us-east-1", Identities(0)), ("eu-west-1", KeyRefused)], Failed, 0, "in any Region"),
            (vec![("us-east-1", Identities(0)), ("eu-west-1", Silent)], Unknown, 0, "Try again"),
            (vec![], Failed, 0, "in any Region"),
        ] {
            let RegionDoubt { check, suggestion } = *search(&answers).find().unwrap_err();
            assert_eq!((check.outcome, suggestion.verified_in.len()), (outcome, verified_in), "{answers:?}");
            assert!(check.remedy.as_deref().unwrap().contains(says), "{check:?}");
            assert_eq!(suggestion.chosen, None);
            assert_said(&check);
        }
    }

    #[test]
    fn a_region_is_doubtful_only_if_nothing_can_send_there_and_something_can_elsewhere() {
        use RegionAnswer::{Denied, Identities, KeyRefused, Silent};
        let chosen = region("us-east-1");
        let elsewhere = ("eu-west-1", Identities(1));
        for (here, there) in [
            (Identities(1), elsewhere),
            (Denied, elsewhere),
            (Silent, elsewhere),
            (KeyRefused, elsewhere),
            (Identities(0), ("eu-west-1", Identities(0))),
            (Identities(0), ("eu-west-1", Denied)),
        ] {
            let search = search(&[("us-east-1", here), there]);
            assert!(search.doubt(chosen, false).is_none(), "{search:?}");
        }
        for (confirmed, outcome) in [(false, Failed), (true, Warning)] {
            let doubted = search(&[("us-east-1", Identities(0)), elsewhere]);
            let RegionDoubt { check, suggestion } = doubted.doubt(chosen, confirmed).unwrap();
            assert_eq!(check.outcome, outcome);
            let expected = RegionSuggestion { chosen: Some(chosen), verified_in: vec![region("eu-west-1")] };
            assert_eq!(suggestion, expected);
            assert_said(&check);
        }
    }
}
