//! The steps by tables, and against a model of AWS that answers, stays silent, lags and loses workers at random.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;

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

fn refused() -> Sight {
    Sight::Refused { code: "InvalidClientTokenId".to_owned(), request_id: None }
}

fn request() -> Option<String> {
    Some("request-1".to_owned())
}

fn both(sts: Sight, ses: Sight) -> BTreeMap<Plane, Sight> {
    BTreeMap::from([(Plane::Sts, sts), (Plane::Ses, ses)])
}

fn state(key: &KeyItem) -> String {
    key.state.to_string()
}

/// Alive at second 1, deleted with this answer at second 1.
fn delete(key: &KeyItem, answer: &Deletion) -> (KeyItem, Then) {
    let ahead = write_ahead(key, at(1), at(1));
    deleted(&ahead, Some(at(1)), (&Sight::Alive, at(1)), answer, at(1)).unwrap()
}

#[test]
fn a_key_that_deletes_itself_and_is_refused_is_revoked_told_and_done() {
    let key = stopped();
    assert_eq!(next(&key, at(1)), Step::Delete);
    let (key, then) = delete(&key, &Deletion::Deleted { request_id: request() });
    assert_eq!((state(&key).as_str(), then), ("revoking", Then::Soon));
    assert_eq!(key.receipt.delete_request_id, request());
    assert_eq!(next(&key, at(3)), Step::Wait(at(6)));
    assert_eq!(next(&key, at(6)), Step::Probe);
    let (key, then) = probed(&key, &both(refused(), refused()), at(6), at(6));
    assert_eq!((state(&key).as_str(), then, key.notification_pending), ("revoked", Then::Now, true));
    assert!(key.next_attempt_at.is_some(), "what is notification_pending stays due");
    assert_eq!(next(&key, at(6)), Step::Tell);
    let (key, then) = told(&key, at(6));
    assert_eq!((then, key.notification_pending, key.next_attempt_at), (Then::Rest, false, None));
    assert_eq!(next(&key, at(7)), Step::Nothing);
    assert_eq!(key.receipt.deleted_by, Some(Proof::Deleted));
}

#[test]
fn each_answer_to_a_deletion_leads_where_it_should() {
    let cases = [
        (Deletion::Deleted { request_id: request() }, "revoking", Then::Soon, Some(Proof::Deleted), false),
        (Deletion::NoSuchEntity { request_id: request() }, "revoking", Then::Soon, Some(Proof::NoSuchEntity), false),
        (Deletion::Denied { quarantined: true }, "revocation_blocked{quarantined}", Then::Now, None, false),
        (Deletion::Denied { quarantined: false }, "revocation_blocked{delete_denied}", Then::Now, None, false),
        (Deletion::WrongSecret, "revoking{secret_rejected}", Then::Soon, None, false),
        (Deletion::Refused, "revoking", Then::Soon, None, false),
        (Deletion::NotActed, "revoking", Then::Soon, None, false),
        (Deletion::Unanswered, "revoking", Then::Soon, None, true),
    ];
    for (answer, expected, then_expected, by, open) in cases {
        let (key, then) = delete(&stopped(), &answer);
        assert_eq!((state(&key).as_str(), then), (expected, then_expected), "{answer:?}");
        assert_eq!(key.receipt.deleted_by, by, "{answer:?}");
        assert_eq!(key.receipt.delete_sent_at.is_some(), open, "{answer:?}");
        assert_eq!(key.notification_pending, matches!(key.state, KeyState::RevocationBlocked(_)), "{answer:?}");
    }
}

#[test]
fn a_worker_killed_after_its_deletion_leaves_enough_to_end_revoked() {
    let ahead = write_ahead(&stopped(), at(1), at(1));
    assert_eq!(next(&ahead, at(2)), Step::Wait(at(6)));
    let (key, _) = probed(&ahead, &both(refused(), refused()), at(6), at(6));
    assert_eq!(state(&key), "revoked");
    assert_eq!(key.receipt.deleted_by, Some(Proof::WriteAhead));
    assert_eq!((key.receipt.deleted_at, key.receipt.delete_sent_at), (Some(at(1)), None));
}

#[test]
fn a_write_ahead_counts_only_while_nothing_else_explains_the_refusal() {
    let refusals = both(refused(), refused());
    let ahead = write_ahead(&stopped(), at(1), at(1));
    let unproven = "revoked{refused_unproven}";
    // Too long ago.
    assert_eq!(state(&probed(&ahead, &refusals, at(602), at(602)).0), unproven);
    assert_eq!(state(&probed(&ahead, &refusals, at(601), at(601)).0), "revoked");
    // Not seen alive just before.
    let blind = write_ahead(&stopped(), at(-10), at(1));
    assert_eq!(state(&probed(&blind, &refusals, at(6), at(6)).0), unproven);
    // The answer is known: the key was refused.
    let (answered, _) = delete(&stopped(), &Deletion::Refused);
    assert_eq!(state(&probed(&answered, &refusals, at(7), at(7)).0), unproven);
    // The key was let in afterwards, so the call did nothing.
    let (alive, then) = probed(&ahead, &both(refused(), Sight::Alive), at(6), at(6));
    assert_eq!((alive.receipt.delete_sent_at, then), (None, Then::Now));
    assert_eq!(next(&alive, at(6)), Step::Delete);
    // Too early: AWS still lets deleted keys in for a while.
    let (early, then) = probed(&ahead, &refusals, at(5), at(5));
    assert_eq!((state(&early).as_str(), then), ("revoking", Then::Soon));
}

#[test]
fn a_refusal_in_the_first_seconds_after_a_deletion_ends_nothing() {
    let (key, _) = delete(&stopped(), &Deletion::Deleted { request_id: None });
    let (early, then) = probed(&key, &both(refused(), refused()), at(5), at(7));
    assert_eq!((state(&early).as_str(), then), ("revoking", Then::Soon));
    assert_eq!(state(&probed(&early, &both(refused(), refused()), at(7), at(7)).0), "revoked");
}

#[test]
fn a_key_that_one_plane_honours_for_longer_is_looked_at_again_and_ends_revoked() {
    let (key, _) = delete(&stopped(), &Deletion::Deleted { request_id: request() });
    let (key, then) = probed(&key, &both(refused(), Sight::Alive), at(6), at(6));
    assert_eq!((state(&key).as_str(), then), ("revoking", Then::Now));
    assert_eq!(next(&key, at(6)), Step::Delete);
    let (key, then) = deleted(&key, None, (&refused(), at(6)), &Deletion::Refused, at(6)).unwrap();
    assert_eq!((then, next(&key, at(6))), (Then::Soon, Step::Wait(at(11))));
    assert_eq!(next(&key, at(11)), Step::Probe);
    let (key, _) = probed(&key, &both(refused(), refused()), at(11), at(11));
    assert_eq!((state(&key).as_str(), key.receipt.delete_request_id), ("revoked", request()));
}

#[test]
fn a_key_that_is_honoured_for_long_keeps_its_first_proof_and_is_asked_at_growing_pauses() {
    let (mut key, _) = delete(&stopped(), &Deletion::Deleted { request_id: request() });
    let gone = Deletion::NoSuchEntity { request_id: None };
    for (second, expected) in [(6, Then::Soon), (119, Then::Soon), (120, Then::Rest), (4_000, Then::Rest)] {
        (key, _) = probed(&key, &both(Sight::Alive, Sight::Alive), at(second), at(second));
        assert_eq!(next(&key, at(second)), Step::Delete, "{second}");
        let ahead = write_ahead(&key, at(second), at(second));
        let then;
        (key, then) = deleted(&ahead, Some(at(second)), (&Sight::Alive, at(second)), &gone, at(second)).unwrap();
        assert_eq!(then, expected, "{second}");
        let receipt = &key.receipt;
        let proof = (receipt.deleted_at, receipt.deleted_by, receipt.delete_request_id.clone());
        assert_eq!(proof, (Some(at(1)), Some(Proof::Deleted), request()), "{second}");
    }
}

#[test]
fn refusals_alone_prove_nothing_and_the_key_is_looked_at_again() {
    let key = stopped();
    let (key, then) = deleted(&key, None, (&refused(), at(1)), &Deletion::Refused, at(1)).unwrap();
    assert_eq!(then, Then::Soon);
    assert_eq!(next(&key, at(2)), Step::Wait(at(6)));
    let (key, _) = probed(&key, &both(refused(), refused()), at(6), at(6));
    assert_eq!((state(&key).as_str(), key.notification_pending), ("revoked{refused_unproven}", true));
    let (mut key, _) = told(&key, at(6));
    for look in [3_600, 86_400, 7 * 86_400] {
        let due = at(6 + look);
        assert_eq!(key.next_attempt_at, Some(due));
        assert_eq!(next(&key, due), Step::Probe);
        (key, _) = probed(&key, &both(refused(), refused()), due, due);
        assert!(!key.notification_pending, "told once");
    }
    assert_eq!(key.next_attempt_at, None);
}

#[test]
fn a_key_that_comes_back_to_life_is_deleted() {
    let (key, _) = deleted(&stopped(), None, (&refused(), at(1)), &Deletion::Refused, at(1)).unwrap();
    let (key, _) = probed(&key, &both(refused(), refused()), at(6), at(6));
    let (key, _) = told(&key, at(6));
    let (key, then) = probed(&key, &both(Sight::Alive, Sight::Alive), at(3_606), at(3_606));
    assert_eq!((state(&key).as_str(), then), ("revoking", Then::Now));
    assert_eq!(next(&key, at(3_606)), Step::Delete);
}

#[test]
fn only_planes_that_saw_the_key_alive_decide() {
    let mut key = stopped();
    key.seen_alive.remove(&Plane::Ses);
    let (key, _) = delete(&key, &Deletion::Deleted { request_id: None });
    assert_eq!(planes(&key), [Plane::Sts]);
    let (key, _) = probed(&key, &BTreeMap::from([(Plane::Sts, refused())]), at(6), at(6));
    assert_eq!(state(&key), "revoked");

    let (key, _) = delete(&stopped(), &Deletion::Deleted { request_id: None });
    for other in [Sight::Alive, Sight::Unknown, Sight::WrongSecret] {
        let (key, _) = probed(&key, &both(refused(), other.clone()), at(6), at(6));
        assert!(matches!(key.state, KeyState::Revoking(_)), "{other:?}");
    }
}

#[test]
fn a_blocked_key_is_told_once_and_retried_at_doubling_pauses() {
    let (key, then) = delete(&stopped(), &Deletion::Denied { quarantined: true });
    assert_eq!((then, next(&key, at(1))), (Then::Now, Step::Tell));
    let (mut key, _) = told(&key, at(1));
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let due = key.next_attempt_at.unwrap();
        pauses.push(due.duration_since(at(1)).as_secs() / 60);
        assert_eq!(next(&key, due), Step::Delete);
        let ahead = write_ahead(&key, due, due);
        let denied = Deletion::Denied { quarantined: true };
        (key, _) = deleted(&ahead, Some(due), (&Sight::Alive, due), &denied, due).unwrap();
        assert!(!key.notification_pending);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1360]);

    // Another reason is news.
    let due = key.next_attempt_at.unwrap();
    let ahead = write_ahead(&key, due, due);
    let denied = Deletion::Denied { quarantined: false };
    let (key, _) = deleted(&ahead, Some(due), (&Sight::Alive, due), &denied, due).unwrap();
    assert!(key.notification_pending);

    // Lifted: it goes on as ever.
    let ahead = write_ahead(&key, due, due);
    let gone = Deletion::Deleted { request_id: None };
    let (key, then) = deleted(&ahead, Some(due), (&Sight::Alive, due), &gone, due).unwrap();
    assert_eq!((state(&key).as_str(), then), ("revoking", Then::Soon));
}

#[test]
fn a_wrong_signature_is_believed_when_it_lasts() {
    let mut key = stopped();
    for second in [1, 6, 30, 60] {
        key = deleted(&key, None, (&Sight::WrongSecret, at(second)), &Deletion::WrongSecret, at(second)).unwrap().0;
        assert_eq!(state(&key), "revoking{secret_rejected}", "{second}");
    }
    key = deleted(&key, None, (&Sight::WrongSecret, at(61)), &Deletion::WrongSecret, at(61)).unwrap().0;
    assert_eq!((state(&key).as_str(), key.notification_pending), ("revocation_blocked{secret_rejected}", true));
}

#[test]
fn an_outage_is_waited_out_by_the_sweep() {
    let mut key = stopped();
    let mut now = at(1);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        assert_eq!(next(&key, now), Step::Delete);
        let (after, then) = deleted(&key, None, (&Sight::Unknown, now), &Deletion::Unanswered, now).unwrap();
        let due = if then == Then::Soon { later(now, HONOURED_FOR) } else { after.next_attempt_at.unwrap() };
        pauses.push(due.duration_since(now).as_secs());
        // The outage goes on beyond the time in which there is hurry.
        (key, now) = (after, later(due, SignedDuration::from_secs(60)));
    }
    assert_eq!(pauses, [5, 5, 131, 322, 704, 900]);
}

#[test]
fn without_a_secret_nothing_can_be_proved() {
    let cases = [
        (NoSecret::Missing, "revocation_blocked{secret_missing}", Then::Now),
        (NoSecret::Unreadable, "revocation_blocked{secret_unreadable}", Then::Now),
        (NoSecret::Unavailable, "revoking", Then::Soon),
    ];
    for (why, expected, then_expected) in cases {
        let (key, then) = no_secret(&stopped(), why, at(1));
        assert_eq!((state(&key).as_str(), then), (expected, then_expected), "{why:?}");
    }
}

#[test]
fn a_late_answer_adds_proof_and_nothing_else() {
    let ahead = write_ahead(&stopped(), at(1), at(1));
    // Another worker looked, saw the key alive, and deletes again.
    let (moved_on, _) = probed(&ahead, &both(Sight::Alive, Sight::Alive), at(6), at(6));
    let moved_on = write_ahead(&moved_on, at(6), at(6));
    let late = |answer: &Deletion| deleted(&moved_on, Some(at(1)), (&Sight::Alive, at(1)), answer, at(7));
    assert_eq!(late(&Deletion::Denied { quarantined: false }), None);
    assert_eq!(late(&Deletion::Refused), None);
    let (proved, _) = late(&Deletion::Deleted { request_id: request() }).unwrap();
    assert_eq!(proved.receipt.deleted_by, Some(Proof::Deleted));
    // After the end there is nothing to add.
    let (ended, _) = probed(&ahead, &both(refused(), refused()), at(6), at(6));
    let gone = Deletion::Deleted { request_id: None };
    assert_eq!(deleted(&ended, Some(at(1)), (&Sight::Alive, at(1)), &gone, at(7)), None);
}

#[test]
fn a_key_that_was_never_stopped_is_left_alone() {
    for state in [KeyState::Active, KeyState::Reported] {
        let mut key = stopped();
        key.state = state;
        assert_eq!(next(&key, at(1)), Step::Nothing, "{state}");
    }
    let mut tombstone = stopped();
    tombstone.owner = None;
    assert_eq!(next(&tombstone, at(1)), Step::Nothing);
}

/// What happens in the model, one after the other.
#[derive(Clone, Debug)]
enum Happening {
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
}

/// AWS, as far as a key goes.
struct Aws {
    now: i64,
    lags: Lags,
    deleted_at: Option<i64>,
    deactivated_at: Option<i64>,
    denied: bool,
}

/// For how many seconds each service still honours a key after its deletion.
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

    fn lets_in(&self, lag: i64) -> bool {
        self.deactivated_at.is_none() && self.deleted_at.is_none_or(|deleted| self.now < deleted + lag)
    }

    fn sight(&self, plane: Plane, fault: Fault) -> Sight {
        let lag = match plane {
            Plane::Sts => self.lags.sts,
            Plane::Ses => self.lags.ses,
        };
        match fault {
            Fault::Throttled | Fault::LostBefore => Sight::Unknown,
            _ if self.lets_in(lag) => Sight::Alive,
            _ => refused(),
        }
    }

    fn delete(&mut self, fault: Fault) -> Deletion {
        if fault == Fault::Throttled {
            return Deletion::NotActed;
        }
        if fault == Fault::LostBefore {
            return Deletion::Unanswered;
        }
        let answer = match self.deleted_at {
            _ if !self.lets_in(self.lags.iam) => Deletion::Refused,
            _ if self.denied => Deletion::Denied { quarantined: true },
            Some(_) => Deletion::NoSuchEntity { request_id: None },
            None => {
                self.deleted_at = Some(self.now);
                Deletion::Deleted { request_id: None }
            }
        };
        if fault == Fault::LostAfter { Deletion::Unanswered } else { answer }
    }
}

/// One message: the step that the worker takes, as `revocation` takes it.
fn deliver(key: &mut KeyItem, aws: &mut Aws, killed: Killed, fault: Fault) {
    match next(key, at(aws.now)) {
        Step::Nothing => {}
        Step::Wait(until) => aws.now = aws.now.max(until.as_second() - at(0).as_second()),
        Step::Tell => {
            if killed == Killed::No {
                *key = told(key, at(aws.now)).0;
            }
        }
        Step::Probe => {
            let sights = planes(key).into_iter().map(|plane| (plane, aws.sight(plane, fault))).collect();
            if killed == Killed::No {
                *key = probed(key, &sights, at(aws.now), at(aws.now)).0;
            }
        }
        Step::Delete => {
            let seen_at = at(aws.now);
            // The fault hits the deletion; the look before it goes through unless it is throttled as well.
            let sight = aws.sight(Plane::Sts, if fault == Fault::Throttled { fault } else { Fault::None });
            if killed == Killed::BeforeWriteAhead {
                return;
            }
            let ahead = (sight == Sight::Alive).then(|| {
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
            if let Some((after, _)) = deleted(key, ahead, (&sight, seen_at), &answer, at(aws.now)) {
                *key = after;
            }
        }
    }
}

/// Lags of up to `longest` seconds, each service's its own.
fn lags(longest: i64) -> impl Strategy<Value = Lags> {
    (0..=longest, 0..=longest, 0..=longest).prop_map(|(sts, ses, iam)| Lags { sts, ses, iam })
}

fn happening() -> impl Strategy<Value = Happening> {
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
    ];
    prop_oneof![
        6 => (killed, fault).prop_map(|(killed, fault)| Happening::Message { killed, fault }),
        4 => (0..12_i64).prop_map(Happening::Seconds),
        1 => (60..4_000_i64).prop_map(Happening::Seconds),
        1 => Just(Happening::TenantDeletes),
        1 => any::<bool>().prop_map(Happening::TenantDeactivates),
        1 => any::<bool>().prop_map(Happening::Denial),
    ]
}

/// What must hold after every record.
fn check(before: &KeyItem, key: &KeyItem, aws: &Aws) {
    assert!(key.attempts >= before.attempts);
    if key.state != KeyState::Revoked {
        let is_awaited = key.state == KeyState::RefusedUnproven || key.next_attempt_at.is_some();
        assert!(is_awaited, "nobody would come back to it: {key:?}");
        return;
    }
    if before.state == key.state {
        return;
    }
    let proved_at = key.receipt.deleted_at.unwrap();
    for plane in key.seen_alive.keys() {
        let refusal = &key.receipt.refused[plane];
        assert!(refusal.at.duration_since(proved_at) >= HONOURED_FOR, "refused too early: {key:?}");
    }
    assert!(!aws.lets_in(aws.lags.sts) && !aws.lets_in(aws.lags.ses), "revoked while it is let in: {key:?}");
    if aws.deleted_at.is_none() {
        // The one residual: a call that was written ahead took no effect, and the tenant deactivated the key right then.
        assert_eq!(key.receipt.deleted_by, Some(Proof::WriteAhead), "revoked while it exists: {key:?}");
        let deactivated_at = at(aws.deactivated_at.unwrap());
        assert!(deactivated_at >= proved_at && deactivated_at <= later(proved_at, WRITE_AHEAD_COUNTS_FOR), "{key:?}");
    }
}

proptest! {
    /// Whatever happens and in whatever order, `revoked` is said of keys that are gone and were seen refused.
    #[test]
    fn revoked_needs_a_deletion_and_refusals(happenings in vec(happening(), 0..60), lags in lags(9)) {
        let mut key = stopped();
        let mut aws = Aws::new(lags);
        for happening in happenings {
            let before = key.clone();
            match happening {
                Happening::Message { killed, fault } => deliver(&mut key, &mut aws, killed, fault),
                Happening::Seconds(seconds) => aws.now += seconds,
                Happening::TenantDeletes => {
                    aws.deleted_at.get_or_insert(aws.now);
                }
                Happening::TenantDeactivates(deactivates) => {
                    aws.deactivated_at = deactivates.then(|| aws.deactivated_at.unwrap_or(aws.now));
                }
                Happening::Denial(denied) => aws.denied = denied,
            }
            check(&before, &key, &aws);
        }
        // From wherever that led, a few good steps and some time reach an end that was told.
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
    }

    /// Without anybody else's doing, one kill or lost answer anywhere still ends with proof.
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
