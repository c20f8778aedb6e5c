//! What SES says about the account in the Region.

use shared::record::{Check, CheckName};
use shared::tenant::{AccountStatus, Failure, FailureKind as Kind};

use super::{NOT_SUBSCRIBED, TRY_AGAIN, evidence, permission_remedy};

const GET_ACCOUNT: &str = "ses:GetAccount";

/// Whether SES answers the key in the Region. If SES does not know a key that STS accepted, the account has not enabled the
/// Region.
pub(crate) fn check_region(answer: &Result<AccountStatus, Failure>, region: &str) -> Check {
    let name = CheckName::SesRegion;
    let failure = match answer {
        Ok(account) => {
            let (rate, day) = (account.max_send_rate, account.max_24_hour_send);
            return Check::passed(name, format!("{GET_ACCOUNT} in {region}: {rate} a second, {day} in 24 hours"));
        }
        Err(failure) => failure,
    };
    let seen = evidence(&format!("{GET_ACCOUNT} in {region}"), failure);
    match &failure.kind {
        Kind::KeyRefused => Check::failed(
            name,
            seen,
            format!(
                "The account has not enabled Region {region}, or is new there. Enable it (AWS account settings, Regions), or hand over the key for the Region in which you have set up SES."
            ),
        ),
        Kind::Denied(denial) => Check::failed(name, seen, permission_remedy(GET_ACCOUNT, "*", denial)),
        Kind::BadRequest | Kind::Forbidden
            if failure.code.as_deref().is_some_and(|code| NOT_SUBSCRIBED.contains(&code)) =>
        {
            Check::failed(name, seen, "Finish signing up for AWS: the account has no access to Amazon SES yet.")
        }
        _ => Check::unknown(name, seen, TRY_AGAIN),
    }
}

/// Whether the account may send at all, from what SES says about it and from the answer to the send probe.
pub(crate) fn check_sending_status(account: &AccountStatus, probe: &Result<(), Failure>) -> Check {
    let name = CheckName::SendingStatus;
    let probe = probe.as_ref().err().map(|failure| &failure.kind);
    let seen = format!(
        "{GET_ACCOUNT}: sending {}, enforcement {}",
        if account.sending_enabled { "enabled" } else { "paused" },
        match account.enforcement.as_str() {
            known @ ("HEALTHY" | "PROBATION" | "SHUTDOWN") => known,
            "" => "not told",
            _ => "of an unknown kind",
        }
    );
    if account.enforcement == "SHUTDOWN" || probe == Some(&Kind::AccountSuspended) {
        return Check::failed(
            name,
            seen,
            "AWS has shut down sending for this account. Answer its review in the SES console (Account dashboard) and hand over the key when sending is back.",
        );
    }
    if !account.sending_enabled || probe == Some(&Kind::SendingPaused) {
        return Check::warning(
            name,
            seen,
            "Sending is paused in this Region; mail waits until you resume it (SES console, Account dashboard).",
        );
    }
    match account.enforcement.as_str() {
        "PROBATION" => Check::warning(
            name,
            seen,
            "SES has the account under review. Answer the review in the SES console and bring bounces and complaints down: the next step is a shutdown.",
        ),
        _ => Check::passed(name, seen),
    }
}

/// Whether the account may send to anybody.
pub(crate) fn check_sandbox(account: &AccountStatus) -> Check {
    let name = CheckName::Sandbox;
    if account.production_access {
        Check::passed(name, format!("{GET_ACCOUNT}: production access"))
    } else {
        Check::warning(
            name,
            format!("{GET_ACCOUNT}: sandbox"),
            "Request production access in the SES console. Until then SES delivers to verified addresses only, 200 a day.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::failure::account_status as account;
    use crate::fixtures::failure::{NO_ALLOW, ORGANIZATION, answered, denied, key_refused, silent, throttled};
    use shared::record::CheckOutcome::{Failed, Passed, Unknown, Warning};

    #[test]
    fn ses_must_answer_in_the_region() {
        let cases = [
            (Ok(account(true, "HEALTHY")), Passed),
            (Err(key_refused()), Failed),
            (Err(answered("UnrecognizedClientException", "", 403)), Failed),
            (Err(denied("ses:GetAccount", "*", NO_ALLOW)), Failed),
            (Err(denied("ses:GetAccount", "*", ORGANIZATION)), Failed),
            (Err(answered("OptInRequired", "", 403)), Failed),
            (Err(answered("BadRequestException", "", 400)), Unknown),
            (Err(throttled()), Unknown),
            (Err(silent()), Unknown),
        ];
        for (answer, expected) in cases {
            assert_eq!(check_region(&answer, "eu-central-1").outcome, expected, "{answer:?}");
        }
    }

    #[test]
    fn a_shut_down_account_is_refused_and_a_paused_one_gets_a_warning() {
        let rejected = || Err(answered("MessageRejected", "Email address is not verified", 400));
        let cases = [
            (account(true, "HEALTHY"), rejected(), Passed),
            (account(true, ""), rejected(), Passed),
            (account(true, "PROBATION"), rejected(), Warning),
            (account(false, "HEALTHY"), rejected(), Warning),
            (account(true, "HEALTHY"), Err(answered("SendingPausedException", "", 400)), Warning),
            (account(false, "SHUTDOWN"), rejected(), Failed),
            (account(true, "SHUTDOWN"), rejected(), Failed),
            (account(true, "HEALTHY"), Err(answered("AccountSuspendedException", "", 400)), Failed),
        ];
        for (account, probe, expected) in cases {
            assert_eq!(check_sending_status(&account, &probe).outcome, expected, "{account:?} {probe:?}");
        }
    }

    #[test]
    fn the_sandbox_is_a_warning() {
        let mut account = account(true, "HEALTHY");
        assert_eq!(check_sandbox(&account).outcome, Passed);
        account.production_access = false;
        assert_eq!(check_sandbox(&account).outcome, Warning);
    }
}
