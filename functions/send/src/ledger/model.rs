//! A model of three workers and one mail, in any order of steps: how many copies can SES accept?

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const INVOCATION: SignedDuration = SignedDuration::from_secs(20);
const LEASE_AFTER_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

/// What a worker does next, or what happens to it.
#[derive(Clone, Copy, Debug)]
enum ModelStep {
    /// Reads the row.
    Look,
    /// Writes the claim that it decided on.
    Claim,
    /// Sends to SES, which accepts the mail or not, and whose response arrives or not.
    Send { taken: bool, answered: bool },
    /// Writes the result.
    Record,
    /// Cannot write the result of an accepted mail, and leaves a settlement.
    Leave,
    /// The settlement is handled.
    Settle,
    /// Is killed.
    Die,
    /// Time passes for all workers.
    Wait { seconds: u16 },
}

enum ModelWorker {
    Idle,
    Looked { deadline: Timestamp, seen: Option<LedgerRow>, next: LedgerRow },
    Claimed { deadline: Timestamp, row: LedgerRow },
    Answered { deadline: Timestamp, row: LedgerRow, next: LedgerRow },
}

struct Model {
    now: Timestamp,
    row: Option<LedgerRow>,
    copies: u32,
    on_doubt: OnDoubt,
    workers: [ModelWorker; 3],
    invocations: u32,
    /// They are messages: one may be handled twice.
    settlements: Vec<Settlement>,
}

impl Model {
    fn new(on_doubt: OnDoubt) -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH,
            row: None,
            copies: 0,
            on_doubt,
            workers: [ModelWorker::Idle, ModelWorker::Idle, ModelWorker::Idle],
            invocations: 0,
            settlements: Vec::new(),
        }
    }

    fn claimant(&self) -> Claimant {
        Claimant {
            tenant_id: shared::id::TenantId::parse("acme").unwrap(),
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            mail_id: MailId::parse("m").unwrap(),
            digest: "2:aa".to_owned(),
            first_seen: Timestamp::UNIX_EPOCH,
            on_doubt: self.on_doubt,
            owner: format!("invocation {}", self.invocations),
            lease_until: self.now + INVOCATION + LEASE_AFTER_DEADLINE,
        }
    }

    /// The table: a write succeeds if the row still has the epoch that it was decided on.
    fn write(&mut self, next: &LedgerRow, was: Option<&LedgerRow>) -> bool {
        let same = self.row.as_ref().map(LedgerRow::epoch) == was.map(LedgerRow::epoch);
        if same {
            self.row = Some(next.clone());
        }
        same
    }

    fn step(&mut self, worker: usize, step: ModelStep) {
        let state = std::mem::replace(&mut self.workers[worker], ModelWorker::Idle);
        self.workers[worker] = match (state, step) {
            (state, ModelStep::Wait { seconds }) => {
                self.now += SignedDuration::from_secs(i64::from(seconds));
                state
            }
            (_, ModelStep::Die) => ModelWorker::Idle,
            (ModelWorker::Idle, ModelStep::Look) => {
                self.invocations += 1;
                let deadline = self.now + INVOCATION;
                match decide_claim(self.row.as_ref(), &self.claimant(), self.now) {
                    ClaimDecision::Take(next) | ClaimDecision::Doubt(next) => {
                        ModelWorker::Looked { deadline, seen: self.row.clone(), next }
                    }
                    ClaimDecision::Settled | ClaimDecision::Held | ClaimDecision::Conflict => ModelWorker::Idle,
                }
            }
            (ModelWorker::Looked { deadline, seen, next }, ModelStep::Claim) => {
                if self.write(&next, seen.as_ref()) && next.state == MailState::Claimed {
                    ModelWorker::Claimed { deadline, row: next }
                } else {
                    ModelWorker::Idle
                }
            }
            (ModelWorker::Claimed { deadline, row }, ModelStep::Send { taken, answered }) => {
                self.copies += u32::from(taken);
                let next = match (taken, answered) {
                    (true, true) => sent_row(&row, Some("id".to_owned()), self.now),
                    (false, true) => not_accepted_row(&row, "throttled", self.now),
                    (_, false) => doubtful_row(&row, self.on_doubt, self.now),
                };
                ModelWorker::Answered { deadline, row, next }
            }
            (ModelWorker::Answered { row, next, .. }, ModelStep::Record) => {
                self.write(&next, Some(&row));
                ModelWorker::Idle
            }
            (ModelWorker::Answered { row, next, deadline }, ModelStep::Leave) => {
                if next.state == MailState::Sent {
                    self.settlements.push(Settlement::new(&row, next.ses_message_id, self.now));
                    ModelWorker::Idle
                } else {
                    ModelWorker::Answered { deadline, row, next }
                }
            }
            (state, ModelStep::Settle) => {
                if let Some(settlement) = self.settlements.first().cloned()
                    && let SettleDecision::Write(next) = decide_settle(self.row.as_ref(), &settlement, self.now)
                {
                    let was = self.row.clone();
                    self.write(&next, was.as_ref());
                }
                state
            }
            (state, _) => state,
        };
        // Lambda kills an invocation at its deadline.
        for worker in &mut self.workers {
            let deadline = match worker {
                ModelWorker::Idle => continue,
                ModelWorker::Looked { deadline, .. }
                | ModelWorker::Claimed { deadline, .. }
                | ModelWorker::Answered { deadline, .. } => *deadline,
            };
            if self.now >= deadline {
                *worker = ModelWorker::Idle;
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<(usize, ModelStep)>> {
    let step = prop_oneof![
        6 => Just(ModelStep::Look),
        6 => Just(ModelStep::Claim),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(taken, answered)| ModelStep::Send { taken, answered }),
        3 => Just(ModelStep::Record),
        1 => Just(ModelStep::Leave),
        1 => Just(ModelStep::Settle),
        1 => Just(ModelStep::Die),
        3 => (0_u16..40).prop_map(|seconds| ModelStep::Wait { seconds }),
    ];
    prop::collection::vec((0_usize..3, step), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_steps_sends_more_copies_than_the_caller_chose(steps in steps(), hold in any::<bool>()) {
        let (on_doubt, most) = if hold { (OnDoubt::Hold, 1) } else { (OnDoubt::Resend, 2) };
        let mut model = Model::new(on_doubt);
        for (worker, step) in steps {
            model.step(worker, step);
            prop_assert!(model.copies <= most, "{} copies", model.copies);
            let state = model.row.as_ref().map(|row| row.state);
            // A mail in these states was not sent; `claimed` and `in_doubt` promise nothing.
            if matches!(state, Some(MailState::Rejected | MailState::Expired)) {
                prop_assert_eq!(model.copies, 0);
            }
            if state == Some(MailState::Sent) {
                prop_assert!(model.copies >= 1);
            }
        }
    }
}

#[test]
fn the_model_reaches_the_bounds_it_guards() {
    let lost = ModelStep::Send { taken: true, answered: false };
    let script = [ModelStep::Look, ModelStep::Claim, lost, ModelStep::Record];
    for (on_doubt, copies) in [(OnDoubt::Resend, 2), (OnDoubt::Hold, 1)] {
        let mut model = Model::new(on_doubt);
        for step in script.into_iter().cycle().take(16) {
            model.step(0, step);
        }
        assert_eq!(model.copies, copies);
        assert_eq!(model.row.map(|row| row.state), Some(MailState::InDoubt));
    }
}
