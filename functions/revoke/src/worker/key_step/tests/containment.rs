//! When a breach is contained, and what becomes of the key.

use shared::record::PauseOutcome;

use super::*;

/// The key after one more denial of its deletion at `second`.
fn denied_again(key: &KeyItem, second: i64) -> KeyItem {
    let ahead = write_ahead(key, at(second), at(second));
    let denied = DeletionResult::Denied { quarantined: true };
    after_deletion(&ahead, Some(at(second)), (&ProbeResult::Alive, at(second)), &denied, at(second)).unwrap().0
}

fn contained(key: &KeyItem, result: &PauseResult, second: i64) -> (KeyItem, FollowUp) {
    assert_eq!(next_step(key, true, at(second)), KeyStep::Contain);
    after_containment(key, result, at(second), at(second))
}

#[test]
fn sending_is_paused_only_with_consent_and_after_a_denial() {
    let denial = DeletionResult::Denied { quarantined: false };
    let (key, follow_up) = delete(&stopped_with_consent(), &denial);
    assert_eq!((follow_up, next_step(&key, true, at(1))), (FollowUp::Now, KeyStep::Contain));
    assert_eq!(key.receipt.deletion_denied_at, Some(at(1)));
    assert!(!may_remove_policies(&key), "not before it is known that a breach was reported");
    assert!(!shows_breach(&key));
    let (refused, _) = delete(&stopped(), &denial);
    assert_eq!(next_step(&refused, true, at(1)), KeyStep::Notify);
    assert!(!may_remove_policies(&refused));
    let mut withheld = stopped_with_consent();
    withheld.owner.as_mut().unwrap().consent.as_mut().unwrap().pause_sending = false;
    assert_eq!(next_step(&delete(&withheld, &denial).0, true, at(1)), KeyStep::Notify);
    for answer in [
        DeletionResult::Deleted { request_id: None },
        DeletionResult::NoSuchEntity { request_id: None },
        DeletionResult::Refused,
        DeletionResult::NotActed,
        DeletionResult::Unanswered,
        DeletionResult::WrongSecret,
    ] {
        let (key, _) = delete(&stopped_with_consent(), &answer);
        assert_ne!(next_step(&key, true, at(1)), KeyStep::Contain, "{answer:?}");
        assert!(!may_remove_policies(&key), "{answer:?}");
    }
    for why in [SecretError::Missing, SecretError::Unreadable] {
        let (key, _) = after_secret_error(&stopped_with_consent(), why, at(1));
        assert_eq!(next_step(&key, true, at(1)), KeyStep::Notify, "{why:?}");
    }
}

#[test]
fn a_pause_is_recorded_told_and_not_repeated_until_another_order() {
    let (key, _) = delete(&stopped_with_consent(), &DeletionResult::Denied { quarantined: true });
    let (key, follow_up) = contained(&key, &PauseResult::Paused { request_id: request() }, 2);
    assert_eq!((follow_up, next_step(&key, true, at(2))), (FollowUp::Now, KeyStep::Notify));
    let done = key.receipt.containment.clone().unwrap();
    assert!(may_remove_policies(&key) && shows_breach(&key));
    assert_eq!((done.sending, done.sending_paused_at), (PauseOutcome::Paused, Some(at(2))));
    assert_eq!((done.request_id, done.error), (request(), None));
    let (key, _) = after_notification(&key, at(2));
    let key = denied_again(&key, 400);
    assert_eq!(next_step(&key, true, at(400)), KeyStep::Delete);
    assert_eq!(key.next_attempt_at, Some(at(400 + 399)), "the pauses between retries grow as without containment");
    // Somebody may have switched it on again.
    let mut ordered = key.clone();
    ordered.order_count += 1;
    let ordered = denied_again(&ordered, 500);
    let (again, follow_up) = contained(&ordered, &PauseResult::Paused { request_id: None }, 501);
    assert_eq!(follow_up, FollowUp::BySweep, "operators know it already");
    assert_eq!(again.receipt.containment.clone().unwrap().sending_paused_at, Some(at(501)));
    assert_eq!(again.next_attempt_at, Some(at(501 + 500)));
    // The key dies at last: what was done stays.
    let ahead = write_ahead(&again, at(900), at(900));
    let deleted = DeletionResult::Deleted { request_id: None };
    let (dying, _) = after_deletion(&ahead, Some(at(900)), (&ProbeResult::Alive, at(900)), &deleted, at(900)).unwrap();
    let (dead, _) = after_probe(&dying, &both(refused(), refused()), at(906), at(906));
    assert_eq!((state(&dead).as_str(), &dead.receipt.containment), ("revoked", &again.receipt.containment));
}

#[test]
fn a_pause_that_failed_is_repeated_after_each_denial_and_a_denied_one_is_not() {
    let failed = PauseResult::NotPaused { code: Some("TooManyRequestsException".to_owned()), request_id: None };
    let (key, _) = delete(&stopped_with_consent(), &DeletionResult::Denied { quarantined: true });
    let (key, _) = contained(&key, &failed, 2);
    let (key, _) = after_notification(&key, at(2));
    // One try for each denial: the deletion comes first.
    assert_eq!(next_step(&key, true, at(301)), KeyStep::Delete);
    let key = denied_again(&key, 301);
    let (key, follow_up) = contained(&key, &failed, 302);
    assert_eq!((follow_up, key.notification_pending), (FollowUp::BySweep, false));
    let key = denied_again(&key, 700);
    // Operators are told of another outcome.
    let denied = PauseResult::Denied { code: Some("AccessDeniedException".to_owned()), request_id: None };
    let (key, follow_up) = contained(&key, &denied, 701);
    assert_eq!((follow_up, next_step(&key, true, at(701))), (FollowUp::Now, KeyStep::Notify));
    let (key, _) = after_notification(&key, at(701));
    let key = denied_again(&key, 1_500);
    assert_eq!(next_step(&key, true, at(1_500)), KeyStep::Delete);
    assert_eq!(key.receipt.containment.unwrap().error.as_deref(), Some("AccessDeniedException"));
}

#[test]
fn what_is_withheld_at_an_off_boarding_is_done_once_a_breach_is_reported() {
    let denial = DeletionResult::Denied { quarantined: false };
    let (key, _) = delete(&stopped_with_consent(), &denial);
    let (key, _) = contained(&key, &PauseResult::Withheld, 2);
    assert_eq!(key.receipt.containment.as_ref().unwrap().sending, PauseOutcome::Withheld);
    assert!(!may_remove_policies(&key));
    let (key, _) = after_notification(&key, at(2));
    let mut key = denied_again(&key, 400);
    assert_ne!(next_step(&key, true, at(400)), KeyStep::Contain);
    key.order_count += 1;
    let key = denied_again(&key, 500);
    assert_eq!(next_step(&key, true, at(500)), KeyStep::Contain);
}

#[test]
fn a_clock_that_runs_behind_does_not_make_containment_run_in_circles() {
    let (key, _) = delete(&stopped_with_consent(), &DeletionResult::Denied { quarantined: true });
    let failed = PauseResult::NotPaused { code: None, request_id: None };
    let (key, _) = after_containment(&key, &failed, at(-30), at(-30));
    assert_eq!(next_step(&key, true, at(1)), KeyStep::Notify);
}

#[test]
fn containment_looks_again_at_policies_that_were_not_all_read() {
    let (key, _) = delete(&stopped_with_consent(), &DeletionResult::Denied { quarantined: true });
    let after = |outcome: ReadOutcome, policies: &[(&str, Removal)]| {
        is_policy_survey_due(&with_survey(&key, seen(outcome, policies, at(1))), at(2))
    };
    assert!(is_policy_survey_due(&key, at(2)));
    assert!(after(ReadOutcome::Partial, &[]) && after(ReadOutcome::Complete, &[("a", Removal::NotOrdered)]));
    assert!(!after(ReadOutcome::Complete, &[]) && !after(ReadOutcome::Denied, &[]));
    assert!(!after(ReadOutcome::Complete, &[("a", Removal::Failed)]));
}
