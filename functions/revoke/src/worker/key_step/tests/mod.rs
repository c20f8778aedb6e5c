//! The steps by tables, and against a model of AWS that answers, does not answer, lags and loses workers at random.

mod containment;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::worker::call_result::PauseResult;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A key that was stopped at second 0 and seen alive on both planes before.
fn stopped() -> KeyItem {
    serde_json::from_value(json!({
        "access_key_id": "AKIASP2TPHJSQH3FJRUX",
        "owner": {
            "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme", "account_id": "171436882533",
            "region": "eu-central-1"
        },
        "status": "revoking",
        "updated_at": at(0),
        "seen_alive": { "sts": at(-100), "ses": at(-100) },
        "next_attempt_at": at(60),
    }))
    .unwrap()
}

/// The same key, of a tenant who agreed to containment.
fn stopped_with_consent() -> KeyItem {
    let mut key = stopped();
    let consent =
        json!({ "pause_sending": true, "given_at": at(-200), "signed_by": "arn:aws:iam::111122223333:user/ops" });
    key.owner.as_mut().unwrap().consent = Some(serde_json::from_value(consent).unwrap());
    key
}

fn refused() -> ProbeResult {
    ProbeResult::Refused { code: "InvalidClientTokenId".to_owned(), request_id: None }
}

fn request() -> Option<String> {
    Some("request-1".to_owned())
}

fn both(sts: ProbeResult, ses: ProbeResult) -> BTreeMap<Plane, ProbeResult> {
    BTreeMap::from([(Plane::Sts, sts), (Plane::Ses, ses)])
}

fn state(key: &KeyItem) -> String {
    key.state.to_string()
}

/// Alive at second 1, deleted with this answer at second 1.
fn delete(key: &KeyItem, answer: &DeletionResult) -> (KeyItem, FollowUp) {
    let ahead = write_ahead(key, at(1), at(1));
    after_deletion(&ahead, Some(at(1)), (&ProbeResult::Alive, at(1)), answer, at(1)).unwrap()
}

#[test]
fn a_key_that_deletes_itself_and_is_refused_is_revoked_and_notified() {
    let key = stopped();
    assert_eq!(next_step(&key, true, at(1)), KeyStep::Delete);
    let (key, follow_up) = delete(&key, &DeletionResult::Deleted { request_id: request() });
    assert_eq!((state(&key).as_str(), follow_up), ("revoking", FollowUp::Delayed));
    assert_eq!(key.receipt.delete_request_id, request());
    assert_eq!(next_step(&key, true, at(3)), KeyStep::Wait(at(6)));
    assert_eq!(next_step(&key, true, at(6)), KeyStep::Probe);
    let (key, follow_up) = after_probe(&key, &both(refused(), refused()), at(6), at(6));
    assert_eq!((state(&key).as_str(), follow_up, key.notification_pending), ("revoked", FollowUp::Now, true));
    assert!(key.next_attempt_at.is_some(), "a key stays due until operators are notified");
    assert_eq!(next_step(&key, true, at(6)), KeyStep::Notify);
    let (key, follow_up) = after_notification(&key, at(6));
    assert_eq!((follow_up, key.notification_pending, key.next_attempt_at), (FollowUp::BySweep, false, None));
    assert_eq!(next_step(&key, true, at(7)), KeyStep::Nothing);
    assert_eq!(key.receipt.deleted_by, Some(Proof::Deleted));
}

#[test]
fn each_answer_to_a_deletion_leads_where_it_should() {
    let cases = [
        (DeletionResult::Deleted { request_id: request() }, "revoking", FollowUp::Delayed, Some(Proof::Deleted), false),
        (
            DeletionResult::NoSuchEntity { request_id: request() },
            "revoking",
            FollowUp::Delayed,
            Some(Proof::NoSuchEntity),
            false,
        ),
        (DeletionResult::Denied { quarantined: true }, "revocation_blocked{quarantined}", FollowUp::Now, None, false),
        (
            DeletionResult::Denied { quarantined: false },
            "revocation_blocked{delete_denied}",
            FollowUp::Now,
            None,
            false,
        ),
        (DeletionResult::WrongSecret, "revoking{secret_rejected}", FollowUp::Delayed, None, false),
        (DeletionResult::Refused, "revoking", FollowUp::Delayed, None, false),
        (DeletionResult::NotActed, "revoking", FollowUp::Delayed, None, false),
        (DeletionResult::Unanswered, "revoking", FollowUp::Delayed, None, true),
    ];
    for (answer, expected, expected_follow_up, by, open) in cases {
        let (key, follow_up) = delete(&stopped(), &answer);
        assert_eq!((state(&key).as_str(), follow_up), (expected, expected_follow_up), "{answer:?}");
        assert_eq!(key.receipt.deleted_by, by, "{answer:?}");
        assert_eq!(key.receipt.delete_sent_at.is_some(), open, "{answer:?}");
        assert_eq!(key.notification_pending, matches!(key.state, KeyState::RevocationBlocked(_)), "{answer:?}");
    }
}

#[test]
fn a_worker_killed_after_its_deletion_leaves_enough_to_end_revoked() {
    let ahead = write_ahead(&stopped(), at(1), at(1));
    assert_eq!(next_step(&ahead, true, at(2)), KeyStep::Wait(at(6)));
    let (key, _) = after_probe(&ahead, &both(refused(), refused()), at(6), at(6));
    assert_eq!(state(&key), "revoked");
    assert_eq!(key.receipt.deleted_by, Some(Proof::WriteAhead));
    assert_eq!((key.receipt.deleted_at, key.receipt.delete_sent_at), (Some(at(1)), None));
}

#[test]
fn a_write_ahead_counts_only_while_nothing_else_explains_the_refusal() {
    let refusals = both(refused(), refused());
    let ahead = write_ahead(&stopped(), at(1), at(1));
    let unproven = "refused_unproven";
    // Too long ago.
    assert_eq!(state(&after_probe(&ahead, &refusals, at(602), at(602)).0), unproven);
    assert_eq!(state(&after_probe(&ahead, &refusals, at(601), at(601)).0), "revoked");
    // Not seen alive just before.
    let blind = write_ahead(&stopped(), at(-10), at(1));
    assert_eq!(state(&after_probe(&blind, &refusals, at(6), at(6)).0), unproven);
    // The answer is known: the key was refused.
    let (answered, _) = delete(&stopped(), &DeletionResult::Refused);
    assert_eq!(state(&after_probe(&answered, &refusals, at(7), at(7)).0), unproven);
    // The key was accepted afterwards, so the call did nothing.
    let (alive, follow_up) = after_probe(&ahead, &both(refused(), ProbeResult::Alive), at(6), at(6));
    assert_eq!((alive.receipt.delete_sent_at, follow_up), (None, FollowUp::Now));
    assert_eq!(next_step(&alive, true, at(6)), KeyStep::Delete);
    // Too early: AWS accepts deleted keys for a while.
    let (early, follow_up) = after_probe(&ahead, &refusals, at(5), at(5));
    assert_eq!((state(&early).as_str(), follow_up), ("revoking", FollowUp::Delayed));
}

#[test]
fn a_refusal_in_the_first_seconds_after_a_deletion_ends_nothing() {
    let (key, _) = delete(&stopped(), &DeletionResult::Deleted { request_id: None });
    let (early, follow_up) = after_probe(&key, &both(refused(), refused()), at(5), at(7));
    assert_eq!((state(&early).as_str(), follow_up), ("revoking", FollowUp::Delayed));
    assert_eq!(state(&after_probe(&early, &both(refused(), refused()), at(7), at(7)).0), "revoked");
}

#[test]
fn a_key_that_one_plane_accepts_for_longer_is_probed_again_and_ends_revoked() {
    let (key, _) = delete(&stopped(), &DeletionResult::Deleted { request_id: request() });
    let (key, follow_up) = after_probe(&key, &both(refused(), ProbeResult::Alive), at(6), at(6));
    assert_eq!((state(&key).as_str(), follow_up), ("revoking", FollowUp::Now));
    assert_eq!(next_step(&key, true, at(6)), KeyStep::Delete);
    let (key, follow_up) = after_deletion(&key, None, (&refused(), at(6)), &DeletionResult::Refused, at(6)).unwrap();
    assert_eq!((follow_up, next_step(&key, true, at(6))), (FollowUp::Delayed, KeyStep::Wait(at(11))));
    assert_eq!(next_step(&key, true, at(11)), KeyStep::Probe);
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(11), at(11));
    assert_eq!((state(&key).as_str(), key.receipt.delete_request_id), ("revoked", request()));
}

#[test]
fn a_key_that_is_accepted_for_long_keeps_its_first_proof_and_is_retried_after_growing_delays() {
    let (mut key, _) = delete(&stopped(), &DeletionResult::Deleted { request_id: request() });
    let gone = DeletionResult::NoSuchEntity { request_id: None };
    for (second, expected) in
        [(6, FollowUp::Delayed), (119, FollowUp::Delayed), (120, FollowUp::BySweep), (4_000, FollowUp::BySweep)]
    {
        (key, _) = after_probe(&key, &both(ProbeResult::Alive, ProbeResult::Alive), at(second), at(second));
        assert_eq!(next_step(&key, true, at(second)), KeyStep::Delete, "{second}");
        let ahead = write_ahead(&key, at(second), at(second));
        let follow_up;
        (key, follow_up) =
            after_deletion(&ahead, Some(at(second)), (&ProbeResult::Alive, at(second)), &gone, at(second)).unwrap();
        assert_eq!(follow_up, expected, "{second}");
        let receipt = &key.receipt;
        let proof = (receipt.deleted_at, receipt.deleted_by, receipt.delete_request_id.clone());
        assert_eq!(proof, (Some(at(1)), Some(Proof::Deleted), request()), "{second}");
    }
}

#[test]
fn refusals_alone_prove_nothing_and_the_key_is_probed_again() {
    let key = stopped();
    let (key, follow_up) = after_deletion(&key, None, (&refused(), at(1)), &DeletionResult::Refused, at(1)).unwrap();
    assert_eq!(follow_up, FollowUp::Delayed);
    assert_eq!(next_step(&key, true, at(2)), KeyStep::Wait(at(6)));
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(6), at(6));
    assert_eq!((state(&key).as_str(), key.notification_pending), ("refused_unproven", true));
    let (mut key, _) = after_notification(&key, at(6));
    for after in [3_600, 86_400, 7 * 86_400, 14 * 86_400, 21 * 86_400, 28 * 86_400] {
        let due = at(6 + after);
        assert_eq!(key.next_attempt_at, Some(due));
        assert_eq!(next_step(&key, true, due), KeyStep::Probe);
        (key, _) = after_probe(&key, &both(refused(), refused()), due, due);
        assert!(!key.notification_pending, "notified once");
    }
    // A look that comes late does not move the next ones.
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(30 * 86_400), at(30 * 86_400));
    assert_eq!(key.next_attempt_at, Some(at(6 + 35 * 86_400)));
}

#[test]
fn a_key_that_cannot_be_probed_any_more_is_still_looked_at_weekly() {
    let mut key = stopped();
    key.state = KeyState::RefusedUnproven;
    for why in [SecretError::Missing, SecretError::Unreadable] {
        let (after, _) = after_secret_error(&key, why, at(8 * 86_400));
        assert_eq!((after.state, after.next_attempt_at), (KeyState::RefusedUnproven, Some(at(14 * 86_400))), "{why:?}");
    }
}

#[test]
fn a_deletion_is_proof_whatever_sts_says_of_the_signature() {
    let key = stopped();
    let wrong = ProbeResult::WrongSecret;
    let deleted = DeletionResult::Deleted { request_id: request() };
    let (key, follow_up) = after_deletion(&key, None, (&wrong, at(1)), &deleted, at(1)).unwrap();
    assert_eq!(
        (state(&key).as_str(), follow_up, key.receipt.deleted_by),
        ("revoking", FollowUp::Delayed, Some(Proof::Deleted))
    );
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(6), at(6));
    assert_eq!(state(&key), "revoked");
}

#[test]
fn sessions_may_outlive_the_key_unless_they_were_seen_to_be_worthless() {
    let day_and_a_half = 36 * 3_600;
    for (sessions_denied, expected) in
        [(None, Some(at(6 + day_and_a_half))), (Some(false), Some(at(6 + day_and_a_half))), (Some(true), None)]
    {
        let mut key = stopped();
        key.owner.as_mut().unwrap().sessions_denied = sessions_denied;
        let (key, _) = delete(&key, &DeletionResult::Deleted { request_id: None });
        assert_eq!(key.receipt.sessions_possible_until, None);
        let (key, _) = after_probe(&key, &both(refused(), refused()), at(6), at(6));
        assert_eq!(key.receipt.sessions_possible_until, expected, "{sessions_denied:?}");
    }
    // From the first refusal on, and anew when the key lives again.
    let (key, _) = after_deletion(&stopped(), None, (&refused(), at(1)), &DeletionResult::Refused, at(1)).unwrap();
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(6), at(6));
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(4_000), at(4_000));
    assert_eq!(key.receipt.sessions_possible_until, Some(at(6 + day_and_a_half)));
    let (key, _) = after_probe(&key, &both(refused(), ProbeResult::Alive), at(90_000), at(90_000));
    assert_eq!(key.receipt.sessions_possible_until, None);
}

/// What a survey found: these policies of `example.com`, each with what became of it.
fn seen(outcome: ReadOutcome, policies: &[(&str, Removal)], at: Timestamp) -> ResidualAccess {
    let foreign: Vec<_> = policies
        .iter()
        .map(|(name, removal)| {
            json!({"identity": "example.com", "policy_name": name, "account_ids": ["123456789012"], "removal": removal})
        })
        .collect();
    serde_json::from_value(json!({
        "checked_at": at,
        "other_keys": {"outcome": "denied"},
        "identity_policies": {"outcome": outcome, "identities_read": 1, "foreign": foreign},
    }))
    .unwrap()
}

fn removals(key: &KeyItem) -> Vec<(&str, Removal)> {
    let policies = &key.receipt.residual_access.as_ref().unwrap().identity_policies.foreign;
    policies.iter().map(|policy| (policy.policy_name.as_str(), policy.removal)).collect()
}

#[test]
fn a_survey_is_made_before_the_deletion_and_again_when_it_is_old_or_an_order_asks_for_removal() {
    let mut key = stopped();
    assert!(is_survey_due(&key, at(1)));
    key = with_survey(&key, seen(ReadOutcome::Complete, &[("a", Removal::NotOrdered)], at(1)));
    assert!(!is_survey_due(&key, at(3_600)));
    assert!(is_survey_due(&key, at(3_601)));
    key.remove_identity_policies = true;
    assert!(is_survey_due(&key, at(2)));
    let mut removed = with_survey(&key, seen(ReadOutcome::Complete, &[("a", Removal::Removed)], at(2)));
    assert!(!is_survey_due(&removed, at(3)));
    removed.receipt.deleted_at = Some(at(4));
    assert!(!is_survey_due(&removed, at(90_000)), "its deletion is proved");
}

#[test]
fn a_policy_that_a_killed_worker_removed_is_removed_and_what_is_not_read_is_not_forgotten() {
    let mut key = stopped();
    key.remove_identity_policies = true;
    let listed = [("a", Removal::NotDone), ("b", Removal::NotDone)];
    // Recorded before anything was removed; then the worker died.
    let key = with_survey(&key, seen(ReadOutcome::Complete, &listed, at(1)));
    let complete = with_survey(&key, seen(ReadOutcome::Complete, &[("b", Removal::Removed)], at(9)));
    assert_eq!(removals(&complete), [("b", Removal::Removed), ("a", Removal::Removed)]);
    let partial = with_survey(&key, seen(ReadOutcome::Partial, &[("b", Removal::Removed)], at(9)));
    assert_eq!(removals(&partial), [("b", Removal::Removed), ("a", Removal::NotDone)]);
    let mut unknown = seen(ReadOutcome::Unknown, &[], at(9));
    unknown.other_keys.outcome = ReadOutcome::Unknown;
    assert_eq!(with_survey(&key, unknown), key, "no answer changes nothing");
}

#[test]
fn what_a_person_has_to_see_alarms_and_nothing_else_does() {
    let word = |key: &KeyItem, second: i64| alarm(key, at(second)).map(|(word, _)| word);
    let mut key = stopped();
    assert_eq!((word(&key, 899), word(&key, 900)), (None, Some("revocation_slow")));
    key.state = KeyState::RevocationBlocked(BlockReason::Quarantined);
    assert_eq!(word(&key, 1), Some("revocation_blocked"));
    key.state = KeyState::RefusedUnproven;
    assert_eq!(word(&key, 1), Some("refused_unproven"));
    let (alive, _) = after_probe(&key, &both(refused(), ProbeResult::Alive), at(9), at(9));
    assert_eq!(word(&alive, 9), Some("revoked_key_alive"));
    for state in [KeyState::Active, KeyState::UnknownKey, KeyState::Revoked] {
        key.state = state;
        assert_eq!(word(&key, 90_000), None, "{state}");
    }
}

#[test]
fn an_event_that_cannot_be_put_does_not_keep_a_key_alive() {
    let (blocked, _) = delete(&stopped(), &DeletionResult::Denied { quarantined: true });
    assert_eq!(next_step(&blocked, true, at(61)), KeyStep::Notify);
    assert_eq!(next_step(&blocked, false, at(61)), KeyStep::Delete);
}

#[test]
fn a_key_that_comes_back_to_life_is_deleted_and_told_at_once() {
    let (key, _) = after_deletion(&stopped(), None, (&refused(), at(1)), &DeletionResult::Refused, at(1)).unwrap();
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(6), at(6));
    let (key, _) = after_notification(&key, at(6));
    let (key, follow_up) = after_probe(&key, &both(ProbeResult::Alive, ProbeResult::Alive), at(3_606), at(3_606));
    assert_eq!((state(&key).as_str(), follow_up), ("revoking", FollowUp::Now));
    assert_eq!(next_step(&key, true, at(3_606)), KeyStep::Delete);
    assert!(key.notification_pending && is_alive_again(&key));
    // Operators are notified while its death is waited for, or if the deletion does not get anywhere.
    assert_eq!(next_step(&key, true, at(3_611)), KeyStep::Notify);
    let ahead = write_ahead(&key, at(3_606), at(3_606));
    let deleted = DeletionResult::Deleted { request_id: None };
    let alive = (&ProbeResult::Alive, at(3_606));
    let (key, _) = after_deletion(&ahead, Some(at(3_606)), alive, &deleted, at(3_606)).unwrap();
    assert_eq!(next_step(&key, true, at(3_606)), KeyStep::Notify);
    assert!(is_alive_again(&key));
    let (key, follow_up) = after_notification(&key, at(3_607));
    assert_eq!((follow_up, next_step(&key, true, at(3_607))), (FollowUp::Now, KeyStep::Wait(at(3_611))));
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(3_611), at(3_611));
    assert_eq!((state(&key).as_str(), is_alive_again(&key)), ("revoked", false));
}

#[test]
fn a_key_that_aws_knows_again_is_deleted_even_if_the_signature_is_said_to_be_wrong() {
    let (key, _) = after_deletion(&stopped(), None, (&refused(), at(1)), &DeletionResult::Refused, at(1)).unwrap();
    let (key, _) = after_probe(&key, &both(refused(), refused()), at(6), at(6));
    let (key, _) = after_notification(&key, at(6));
    let (key, follow_up) = after_probe(&key, &both(ProbeResult::WrongSecret, refused()), at(3_606), at(3_606));
    assert_eq!((state(&key).as_str(), follow_up, is_alive_again(&key)), ("revoking", FollowUp::Now, true));
    assert_eq!(next_step(&key, true, at(3_606)), KeyStep::Delete);
}

#[test]
fn only_planes_that_saw_the_key_alive_decide() {
    let mut key = stopped();
    key.seen_alive.remove(&Plane::Ses);
    let (key, _) = delete(&key, &DeletionResult::Deleted { request_id: None });
    assert_eq!(planes_to_probe(&key), [Plane::Sts]);
    let (key, _) = after_probe(&key, &BTreeMap::from([(Plane::Sts, refused())]), at(6), at(6));
    assert_eq!(state(&key), "revoked");

    let (key, _) = delete(&stopped(), &DeletionResult::Deleted { request_id: None });
    for other in [ProbeResult::Alive, ProbeResult::Unknown, ProbeResult::WrongSecret] {
        let (key, _) = after_probe(&key, &both(refused(), other.clone()), at(6), at(6));
        assert!(matches!(key.state, KeyState::Revoking(_)), "{other:?}");
    }
}

#[test]
fn a_blocked_key_is_notified_once_and_retried_after_doubling_delays() {
    let (key, follow_up) = delete(&stopped(), &DeletionResult::Denied { quarantined: true });
    assert_eq!((follow_up, next_step(&key, true, at(1))), (FollowUp::Now, KeyStep::Notify));
    let (mut key, _) = after_notification(&key, at(1));
    let mut delays = Vec::new();
    for _ in 0..10 {
        let due = key.next_attempt_at.unwrap();
        delays.push(due.duration_since(at(1)).as_secs() / 60);
        assert_eq!(next_step(&key, true, due), KeyStep::Delete);
        let ahead = write_ahead(&key, due, due);
        let denied = DeletionResult::Denied { quarantined: true };
        (key, _) = after_deletion(&ahead, Some(due), (&ProbeResult::Alive, due), &denied, due).unwrap();
        assert!(!key.notification_pending);
    }
    assert_eq!(delays, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1360]);

    // Operators are notified of another reason.
    let due = key.next_attempt_at.unwrap();
    let ahead = write_ahead(&key, due, due);
    let denied = DeletionResult::Denied { quarantined: false };
    let (key, _) = after_deletion(&ahead, Some(due), (&ProbeResult::Alive, due), &denied, due).unwrap();
    assert!(key.notification_pending);

    // The denial is lifted: the revocation continues.
    let ahead = write_ahead(&key, due, due);
    let gone = DeletionResult::Deleted { request_id: None };
    let (key, follow_up) = after_deletion(&ahead, Some(due), (&ProbeResult::Alive, due), &gone, due).unwrap();
    assert_eq!((state(&key).as_str(), follow_up), ("revoking", FollowUp::Delayed));
}

#[test]
fn a_wrong_signature_is_believed_when_it_lasts() {
    let mut key = stopped();
    for second in [1, 6, 30, 60] {
        key = after_deletion(
            &key,
            None,
            (&ProbeResult::WrongSecret, at(second)),
            &DeletionResult::WrongSecret,
            at(second),
        )
        .unwrap()
        .0;
        assert_eq!(state(&key), "revoking{secret_rejected}", "{second}");
    }
    key = after_deletion(&key, None, (&ProbeResult::WrongSecret, at(61)), &DeletionResult::WrongSecret, at(61))
        .unwrap()
        .0;
    assert_eq!((state(&key).as_str(), key.notification_pending), ("revocation_blocked{secret_rejected}", true));
}

#[test]
fn an_outage_is_waited_out_by_the_sweep() {
    let mut key = stopped();
    let mut now = at(1);
    let mut delays = Vec::new();
    for _ in 0..6 {
        assert_eq!(next_step(&key, true, now), KeyStep::Delete);
        let (after, follow_up) =
            after_deletion(&key, None, (&ProbeResult::Unknown, now), &DeletionResult::Unanswered, now).unwrap();
        let due = if follow_up == FollowUp::Delayed { later(now, PROBE_DELAY) } else { after.next_attempt_at.unwrap() };
        delays.push(due.duration_since(now).as_secs());
        // The outage outlasts the time of retries by message.
        (key, now) = (after, later(due, SignedDuration::from_secs(60)));
    }
    assert_eq!(delays, [5, 5, 131, 322, 704, 900]);
}

#[test]
fn without_a_secret_nothing_can_be_proved() {
    let cases = [
        (SecretError::Missing, "revocation_blocked{secret_missing}", FollowUp::Now),
        (SecretError::Unreadable, "revocation_blocked{secret_unreadable}", FollowUp::Now),
        (SecretError::Unavailable, "revoking", FollowUp::Delayed),
    ];
    for (why, expected, expected_follow_up) in cases {
        let (key, follow_up) = after_secret_error(&stopped(), why, at(1));
        assert_eq!((state(&key).as_str(), follow_up), (expected, expected_follow_up), "{why:?}");
    }
}

#[test]
fn a_late_answer_adds_proof_and_nothing_else() {
    let ahead = write_ahead(&stopped(), at(1), at(1));
    // Another worker probed the key, saw it alive, and deletes it again.
    let (moved_on, _) = after_probe(&ahead, &both(ProbeResult::Alive, ProbeResult::Alive), at(6), at(6));
    let moved_on = write_ahead(&moved_on, at(6), at(6));
    let late =
        |answer: &DeletionResult| after_deletion(&moved_on, Some(at(1)), (&ProbeResult::Alive, at(1)), answer, at(7));
    assert_eq!(late(&DeletionResult::Denied { quarantined: false }), None);
    assert_eq!(late(&DeletionResult::Refused), None);
    let (proved, _) = late(&DeletionResult::Deleted { request_id: request() }).unwrap();
    assert_eq!(proved.receipt.deleted_by, Some(Proof::Deleted));
    // After the end there is nothing to add.
    let (ended, _) = after_probe(&ahead, &both(refused(), refused()), at(6), at(6));
    let gone = DeletionResult::Deleted { request_id: None };
    assert_eq!(after_deletion(&ended, Some(at(1)), (&ProbeResult::Alive, at(1)), &gone, at(7)), None);
}

#[test]
fn a_key_that_was_never_stopped_is_left_alone() {
    for state in [KeyState::Active, KeyState::UnknownKey] {
        let mut key = stopped();
        key.state = state;
        assert_eq!(next_step(&key, true, at(1)), KeyStep::Nothing, "{state}");
    }
    let mut tombstone = stopped();
    tombstone.owner = None;
    assert_eq!(next_step(&tombstone, true, at(1)), KeyStep::Nothing);
}

/// The events of the model.
#[derive(Clone, Debug)]
enum ModelEvent {
    /// A message is delivered and its worker takes one step. It may be killed before a record, or the call may be lost.
    Message { killed: Killed, fault: Fault },
    /// Time passes.
    Seconds(i64),
    /// The tenant deletes the key.
    TenantDeletes,
    /// The tenant deactivates the key, or activates it again.
    TenantDeactivates(bool),
    /// AWS or the tenant denies the deletion, or lifts the denial.
    Denial(bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Killed {
    No,
    BeforeWriteAhead,
    BeforeCall,
    BeforeRecord,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Throttled,
    LostBefore,
    LostAfter,
    /// A stranger calls AWS with the key's id: STS says that our signature is wrong.
    Stranger,
}

/// AWS, as far as one key is concerned.
struct Aws {
    now: i64,
    lags: Lags,
    deleted_at: Option<i64>,
    deactivated_at: Option<i64>,
    denied: bool,
}

/// For how many seconds each service still accepts a key after its deletion.
#[derive(Clone, Copy, Debug)]
struct Lags {
    sts: i64,
    ses: i64,
    iam: i64,
}

impl Aws {
    fn new(lags: Lags) -> Self {
        Self { now: 1, lags, deleted_at: None, deactivated_at: None, denied: false }
    }

    fn accepts(&self, lag: i64) -> bool {
        self.deactivated_at.is_none() && self.deleted_at.is_none_or(|deleted| self.now < deleted + lag)
    }

    fn probe(&self, plane: Plane, fault: Fault) -> ProbeResult {
        let lag = match plane {
            Plane::Sts => self.lags.sts,
            Plane::Ses => self.lags.ses,
        };
        match fault {
            Fault::Throttled | Fault::LostBefore => ProbeResult::Unknown,
            Fault::Stranger if self.accepts(lag) => ProbeResult::WrongSecret,
            _ if self.accepts(lag) => ProbeResult::Alive,
            _ => refused(),
        }
    }

    fn delete(&mut self, fault: Fault) -> DeletionResult {
        if fault == Fault::Throttled {
            return DeletionResult::NotActed;
        }
        if fault == Fault::LostBefore {
            return DeletionResult::Unanswered;
        }
        let answer = match self.deleted_at {
            _ if !self.accepts(self.lags.iam) => DeletionResult::Refused,
            _ if self.denied => DeletionResult::Denied { quarantined: true },
            Some(_) => DeletionResult::NoSuchEntity { request_id: None },
            None => {
                self.deleted_at = Some(self.now);
                DeletionResult::Deleted { request_id: None }
            }
        };
        if fault == Fault::LostAfter { DeletionResult::Unanswered } else { answer }
    }
}

/// One message: the step that the worker takes, as in `revocation`.
fn deliver(key: &mut KeyItem, aws: &mut Aws, killed: Killed, fault: Fault) {
    match next_step(key, true, at(aws.now)) {
        KeyStep::Nothing => {}
        KeyStep::Wait(until) => aws.now = aws.now.max(until.as_second() - at(0).as_second()),
        KeyStep::Notify => {
            if killed == Killed::No {
                *key = after_notification(key, at(aws.now)).0;
            }
        }
        KeyStep::Contain => {
            let result = match fault {
                Fault::None => PauseResult::Paused { request_id: None },
                Fault::Stranger => PauseResult::Denied { code: None, request_id: None },
                _ => PauseResult::NotPaused { code: None, request_id: None },
            };
            if killed == Killed::No {
                *key = after_containment(key, &result, at(aws.now), at(aws.now)).0;
            }
        }
        KeyStep::Probe => {
            let results = planes_to_probe(key).into_iter().map(|plane| (plane, aws.probe(plane, fault))).collect();
            if killed == Killed::No {
                *key = after_probe(key, &results, at(aws.now), at(aws.now)).0;
            }
        }
        KeyStep::Delete => {
            let seen_at = at(aws.now);
            // The fault hits the deletion; the probe before it succeeds unless it is throttled as well.
            let probe = aws.probe(
                Plane::Sts,
                match fault {
                    Fault::Throttled | Fault::Stranger => fault,
                    _ => Fault::None,
                },
            );
            if killed == Killed::BeforeWriteAhead {
                return;
            }
            let ahead = (probe == ProbeResult::Alive).then(|| {
                *key = write_ahead(key, seen_at, at(aws.now));
                at(aws.now)
            });
            if killed == Killed::BeforeCall {
                return;
            }
            let answer = aws.delete(fault);
            if killed == Killed::BeforeRecord {
                return;
            }
            if let Some((after, _)) = after_deletion(key, ahead, (&probe, seen_at), &answer, at(aws.now)) {
                *key = after;
            }
        }
    }
}

/// Lags of up to `longest` seconds, each service's its own.
fn lags(longest: i64) -> impl Strategy<Value = Lags> {
    (0..=longest, 0..=longest, 0..=longest).prop_map(|(sts, ses, iam)| Lags { sts, ses, iam })
}

fn event() -> impl Strategy<Value = ModelEvent> {
    let killed = prop_oneof![
        4 => Just(Killed::No),
        1 => Just(Killed::BeforeWriteAhead),
        1 => Just(Killed::BeforeCall),
        2 => Just(Killed::BeforeRecord),
    ];
    let fault = prop_oneof![
        5 => Just(Fault::None),
        1 => Just(Fault::Throttled),
        1 => Just(Fault::LostBefore),
        1 => Just(Fault::LostAfter),
        1 => Just(Fault::Stranger),
    ];
    prop_oneof![
        6 => (killed, fault).prop_map(|(killed, fault)| ModelEvent::Message { killed, fault }),
        4 => (0..12_i64).prop_map(ModelEvent::Seconds),
        1 => (60..4_000_i64).prop_map(ModelEvent::Seconds),
        1 => Just(ModelEvent::TenantDeletes),
        1 => any::<bool>().prop_map(ModelEvent::TenantDeactivates),
        1 => any::<bool>().prop_map(ModelEvent::Denial),
    ]
}

/// What must hold after every record.
fn check(before: &KeyItem, key: &KeyItem, aws: &Aws) {
    assert!(key.attempts >= before.attempts);
    if key.state != KeyState::Revoked {
        let is_awaited = key.state == KeyState::RefusedUnproven || key.next_attempt_at.is_some();
        assert!(is_awaited, "nothing picks it up again: {key:?}");
        return;
    }
    if before.state == key.state {
        return;
    }
    let proved_at = key.receipt.deleted_at.unwrap();
    for plane in key.seen_alive.keys() {
        let refusal = &key.receipt.refused[plane];
        assert!(refusal.at.duration_since(proved_at) >= PROBE_DELAY, "refused too early: {key:?}");
    }
    assert!(!aws.accepts(aws.lags.sts) && !aws.accepts(aws.lags.ses), "revoked while it is accepted: {key:?}");
    if aws.deleted_at.is_none() {
        // The one residual: a call that was written ahead had no effect, and the tenant deactivated the key right then.
        assert_eq!(key.receipt.deleted_by, Some(Proof::WriteAhead), "revoked while it exists: {key:?}");
        let deactivated_at = at(aws.deactivated_at.unwrap());
        assert!(
            deactivated_at >= proved_at && deactivated_at <= later(proved_at, WRITE_AHEAD_EXPIRES_AFTER),
            "{key:?}"
        );
    }
}

proptest! {
    /// Whatever happens and in whatever order, only keys that are gone and were seen refused become `revoked`.
    #[test]
    fn revoked_needs_a_deletion_and_refusals(
        events in vec(event(), 0..60),
        lags in lags(9),
        agrees in any::<bool>(),
    ) {
        let mut key = if agrees { stopped_with_consent() } else { stopped() };
        let mut aws = Aws::new(lags);
        for event in events {
            let before = key.clone();
            match event {
                ModelEvent::Message { killed, fault } => deliver(&mut key, &mut aws, killed, fault),
                ModelEvent::Seconds(seconds) => aws.now += seconds,
                ModelEvent::TenantDeletes => {
                    aws.deleted_at.get_or_insert(aws.now);
                }
                ModelEvent::TenantDeactivates(deactivates) => {
                    aws.deactivated_at = deactivates.then(|| aws.deactivated_at.unwrap_or(aws.now));
                }
                ModelEvent::Denial(denied) => aws.denied = denied,
            }
            check(&before, &key, &aws);
        }
        // From any state, a few good steps and some time lead to a final state that operators were notified of.
        for _ in 0..12 {
            aws.now += 4;
            let before = key.clone();
            deliver(&mut key, &mut aws, Killed::No, Fault::None);
            check(&before, &key, &aws);
        }
        let blocked = aws.denied && aws.deleted_at.is_none() && aws.deactivated_at.is_none();
        match key.state {
            KeyState::Revoked => {}
            KeyState::RefusedUnproven => prop_assert!(!blocked, "{:?}", key),
            state => {
                prop_assert_eq!(state, KeyState::RevocationBlocked(BlockReason::Quarantined), "{:?}", key);
                prop_assert!(blocked, "{:?}", key);
            }
        }
        prop_assert!(!key.notification_pending);
        prop_assert!(agrees || key.receipt.containment.is_none());
        let denied = matches!(key.state, KeyState::RevocationBlocked(_));
        let is_contained = key.receipt.containment.as_ref().is_some_and(|done| done.sending.is_settled());
        prop_assert!(!(agrees && denied) || is_contained, "{:?}", key);
    }

    /// If nobody else interferes, one kill or lost answer anywhere still ends with proof.
    #[test]
    fn one_lost_worker_does_not_cost_the_proof(
        killed in prop_oneof![Just(Killed::BeforeWriteAhead), Just(Killed::BeforeCall), Just(Killed::BeforeRecord)],
        fault in prop_oneof![Just(Fault::None), Just(Fault::LostAfter)],
        good in 0..4_usize,
        visibility in 0..200_i64,
        // As AWS documents it.
        lags in lags(4),
    ) {
        let mut key = stopped();
        let mut aws = Aws::new(lags);
        for _ in 0..good {
            deliver(&mut key, &mut aws, Killed::No, Fault::None);
        }
        deliver(&mut key, &mut aws, killed, fault);
        aws.now += visibility;
        for _ in 0..8 {
            let before = key.clone();
            deliver(&mut key, &mut aws, Killed::No, Fault::None);
            check(&before, &key, &aws);
        }
        prop_assert_eq!(key.state, KeyState::Revoked);
    }
}
