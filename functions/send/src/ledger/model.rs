//! Two workers, one mail, every order of steps: how many copies can SES take?

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const INVOCATION: SignedDuration = SignedDuration::from_secs(20);
const LEASE_AFTER_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

/// What a worker does next, and what the world does to it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Reads the row.
    Look,
    /// Writes the claim it decided on.
    Claim,
    /// Asks SES: it takes it or not, and the answer arrives or not.
    Send { taken: bool, answered: bool },
    /// Writes what came of it.
    Record,
    /// Is killed.
    Die,
    /// Time passes, for all.
    Wait { seconds: u16 },
}

enum Worker {
    Idle,
    Looked { deadline: Timestamp, seen: Option<LedgerRow>, next: LedgerRow },
    Claimed { deadline: Timestamp, row: LedgerRow },
    Answered { deadline: Timestamp, row: LedgerRow, next: LedgerRow },
}

struct World {
    now: Timestamp,
    row: Option<LedgerRow>,
    copies: u32,
    on_doubt: OnDoubt,
    workers: [Worker; 3],
    invocations: u32,
}

impl World {
    fn new(on_doubt: OnDoubt) -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH,
            row: None,
            copies: 0,
            on_doubt,
            workers: [Worker::Idle, Worker::Idle, Worker::Idle],
            invocations: 0,
        }
    }

    fn claimant(&self) -> Claimant {
        Claimant {
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            mail_id: MailId::parse("m").unwrap(),
            digest: "1:aa".to_owned(),
            first_seen: Timestamp::UNIX_EPOCH,
            on_doubt: self.on_doubt,
            owner: format!("invocation {}", self.invocations),
            lease_until: self.now + INVOCATION + LEASE_AFTER_DEADLINE,
        }
    }

    /// The table: a write goes through if the row is in the epoch that it was decided on.
    fn write(&mut self, next: &LedgerRow, was: Option<&LedgerRow>) -> bool {
        let same = self.row.as_ref().map(epoch) == was.map(epoch);
        if same {
            self.row = Some(next.clone());
        }
        same
    }

    fn step(&mut self, worker: usize, step: Step) {
        let state = std::mem::replace(&mut self.workers[worker], Worker::Idle);
        self.workers[worker] = match (state, step) {
            (state, Step::Wait { seconds }) => {
                self.now += SignedDuration::from_secs(i64::from(seconds));
                state
            }
            (_, Step::Die) => Worker::Idle,
            (Worker::Idle, Step::Look) => {
                self.invocations += 1;
                let deadline = self.now + INVOCATION;
                match claim(self.row.as_ref(), &self.claimant(), self.now) {
                    Claim::Take(next) | Claim::Doubt(next) => Worker::Looked { deadline, seen: self.row.clone(), next },
                    Claim::Settled | Claim::Busy | Claim::Conflict => Worker::Idle,
                }
            }
            (Worker::Looked { deadline, seen, next }, Step::Claim) => {
                if self.write(&next, seen.as_ref()) && next.state == MailState::Claimed {
                    Worker::Claimed { deadline, row: next }
                } else {
                    Worker::Idle
                }
            }
            (Worker::Claimed { deadline, row }, Step::Send { taken, answered }) => {
                self.copies += u32::from(taken);
                let next = match (taken, answered) {
                    (true, true) => accepted(&row, Some("id".to_owned()), self.now),
                    (false, true) => released(&row, "throttled", self.now),
                    (_, false) => doubted(&row, self.on_doubt, self.now),
                };
                Worker::Answered { deadline, row, next }
            }
            (Worker::Answered { row, next, .. }, Step::Record) => {
                self.write(&next, Some(&row));
                Worker::Idle
            }
            (state, _) => state,
        };
        // Lambda kills an invocation at its deadline.
        for worker in &mut self.workers {
            let deadline = match worker {
                Worker::Idle => continue,
                Worker::Looked { deadline, .. }
                | Worker::Claimed { deadline, .. }
                | Worker::Answered { deadline, .. } => *deadline,
            };
            if self.now >= deadline {
                *worker = Worker::Idle;
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        6 => Just(Step::Look),
        6 => Just(Step::Claim),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(taken, answered)| Step::Send { taken, answered }),
        3 => Just(Step::Record),
        1 => Just(Step::Die),
        3 => (0_u16..40).prop_map(|seconds| Step::Wait { seconds }),
    ];
    prop::collection::vec((0_usize..3, step), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_steps_sends_more_copies_than_the_caller_chose(steps in steps(), hold in any::<bool>()) {
        let (on_doubt, most) = if hold { (OnDoubt::Hold, 1) } else { (OnDoubt::Resend, 2) };
        let mut world = World::new(on_doubt);
        for (worker, step) in steps {
            world.step(worker, step);
            prop_assert!(world.copies <= most, "{} copies", world.copies);
            let state = world.row.as_ref().map(|row| row.state);
            // What is called unsent was not sent; `claimed` and `in_doubt` promise nothing.
            if matches!(state, Some(MailState::Rejected | MailState::Expired)) {
                prop_assert_eq!(world.copies, 0);
            }
            if state == Some(MailState::Sent) {
                prop_assert!(world.copies >= 1);
            }
        }
    }
}

#[test]
fn the_model_reaches_the_bounds_it_guards() {
    let lost = Step::Send { taken: true, answered: false };
    let script = [Step::Look, Step::Claim, lost, Step::Record];
    for (on_doubt, copies) in [(OnDoubt::Resend, 2), (OnDoubt::Hold, 1)] {
        let mut world = World::new(on_doubt);
        for step in script.into_iter().cycle().take(16) {
            world.step(0, step);
        }
        assert_eq!(world.copies, copies);
        assert_eq!(world.row.map(|row| row.state), Some(MailState::InDoubt));
    }
}
