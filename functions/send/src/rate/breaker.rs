//! The breaker of an account in a Region: an outage of SES must not put a backlog in doubt.
//!
//! ```text
//!            OPEN_AFTER unknowns, no acceptance between
//!   closed ────────────────────────────────────────────▶ open ──┐ one mail at a time is elected to try; each election
//!      ▲                                                   │ ◀──┘ postpones the next one, up to MAX_PROBE_INTERVAL
//!      └───────────────────────────────────────────────────┘
//!                         an acceptance
//! ```
//!
//! While it is open, mail goes back to the queue before its claim, so it is not in doubt. Its state is on the rate item,
//! and every reservation of a start is written on the condition that it is closed: no request is added where all is well.
//! So at most the mails that had a start when it opened, and one for each election, can come into doubt. Pure; `table`
//! does the writing, each on the condition that nobody else has written the breaker in between.

use jiff::{SignedDuration, Timestamp};

use super::millis;

/// How many requests without an answer open it.
const OPEN_AFTER: i64 = 3;

/// When the first mail tries, and the least time between two tries: longer than one takes, from its election to the
/// record, so that there is one at a time.
const FIRST_PROBE_INTERVAL: SignedDuration = SignedDuration::from_secs(15);

/// The longest time between two tries, which is also what an outage's end goes unnoticed for.
const MAX_PROBE_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// A mail whose second copy, or whose only one, would end in doubt tries only if no other mail has for so long.
pub(super) const LAST_RESORT_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The breaker as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    /// How often it was written; 0 = never. Identifies what a write was decided on.
    pub(super) version: i64,
    /// How many requests ended without an answer since the last acceptance.
    pub(super) unknowns: i64,
    /// When the last of these was recorded, in epoch milliseconds.
    pub(super) unknown_at_ms: i64,
    /// When the next mail may try; `None` = closed.
    pub(super) probe: Option<ProbeSchedule>,
}

/// When mails try whether SES accepts mail again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeSchedule {
    /// When the next one may, in epoch milliseconds.
    pub(super) at_ms: i64,
    /// How long after it the one after that may, in milliseconds.
    pub(super) interval_ms: i64,
}

impl Breaker {
    /// Whether mail goes back before its claim.
    pub(crate) fn is_open(&self) -> bool {
        self.probe.is_some()
    }

    /// A request ended without an answer. `None` if that changes nothing: the breaker is open already.
    pub(super) fn after_unknown(&self, now: Timestamp) -> Option<Self> {
        if self.is_open() {
            return None;
        }
        let unknowns = self.unknowns + 1;
        let probe = (unknowns >= OPEN_AFTER).then(|| ProbeSchedule::first(now));
        Some(Self { version: self.version + 1, unknowns, unknown_at_ms: now.as_millisecond(), probe })
    }

    /// SES accepted a mail. That ends an outage only if the request began after the last one without an answer was
    /// recorded; before that, `is_probe` tells, whatever the clocks of two environments say.
    pub(super) fn after_acceptance(&self, begun: Timestamp, is_probe: bool) -> Option<Self> {
        let is_later = is_probe || begun.as_millisecond() > self.unknown_at_ms;
        (self.unknowns > 0 && is_later).then(|| Self { version: self.version + 1, ..Self::default() })
    }

    /// Elects a mail to try. `None` if the breaker is closed or it is too early.
    pub(super) fn elect(&self, now: Timestamp) -> Option<Self> {
        let ProbeSchedule { interval_ms, .. } = self.probe.filter(|probe| probe.at_ms <= now.as_millisecond())?;
        let probe = ProbeSchedule {
            at_ms: now.as_millisecond() + interval_ms,
            interval_ms: (interval_ms * 2).min(millis(MAX_PROBE_INTERVAL)),
        };
        Some(Self { version: self.version + 1, probe: Some(probe), ..*self })
    }

    /// The elected mail was not sent, or SES refused it for what it is: the next one may try at once.
    pub(super) fn after_no_probe(&self, now: Timestamp) -> Option<Self> {
        self.probe?;
        let probe = ProbeSchedule { at_ms: now.as_millisecond(), ..ProbeSchedule::first(now) };
        Some(Self { version: self.version + 1, probe: Some(probe), ..*self })
    }
}

impl ProbeSchedule {
    fn first(now: Timestamp) -> Self {
        let interval_ms = millis(FIRST_PROBE_INTERVAL);
        Self { at_ms: now.as_millisecond() + interval_ms, interval_ms }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn opened(now_ms: i64) -> Breaker {
        (0..OPEN_AFTER).fold(Breaker::default(), |breaker, _| breaker.after_unknown(at(now_ms)).unwrap())
    }

    #[test]
    fn a_few_unknowns_open_it_and_an_acceptance_between_starts_the_count_again() {
        let two = Breaker::default().after_unknown(at(0)).unwrap().after_unknown(at(1)).unwrap();
        assert!(!two.is_open());
        assert!(two.after_unknown(at(2)).unwrap().is_open());
        let accepted = two.after_acceptance(at(2), false).unwrap();
        assert!(!accepted.after_unknown(at(3)).unwrap().after_unknown(at(4)).unwrap().is_open());
        // A request that began before the last unknown was recorded does not prove that SES answers again.
        assert_eq!(two.after_acceptance(at(1), false), None);
        // Where all is well, nothing is written.
        assert_eq!(accepted.after_acceptance(at(9), false), None);
        assert_eq!(Breaker::default().after_acceptance(at(9), false), None);
    }

    #[test]
    fn one_mail_tries_at_a_time_with_growing_intervals_until_one_is_accepted() {
        let mut breaker = opened(0);
        assert_eq!(breaker.after_unknown(at(1)), None);
        let mut now_ms = 0;
        let mut elections = Vec::new();
        while now_ms < 300_000 {
            if let Some(elected) = breaker.elect(at(now_ms)) {
                assert_eq!(elected.elect(at(now_ms)), None, "two at {now_ms}");
                breaker = elected;
                elections.push(now_ms / 1000);
            }
            now_ms += 1000;
        }
        assert_eq!(elections, [15, 30, 60, 120, 180, 240]);
        let closed = breaker.after_acceptance(at(0), true).unwrap();
        assert!(!closed.is_open());
        assert_eq!(closed.elect(at(now_ms)), None);
    }

    #[test]
    fn a_mail_that_did_not_try_leaves_its_turn_to_the_next_one() {
        let elected = opened(0).elect(at(15_000)).unwrap();
        assert_eq!(elected.elect(at(16_000)), None);
        assert!(elected.after_no_probe(at(16_000)).unwrap().elect(at(16_000)).is_some());
        assert_eq!(Breaker::default().after_no_probe(at(0)), None);
    }

    /// What happens next in the model.
    #[derive(Clone, Copy, Debug)]
    enum ModelStep {
        /// A sender asks for starts of so many mails.
        Reserve { mails: u32 },
        /// A mail of a sender begins its request, if the sender does not know the breaker as open.
        Begin,
        /// A request of a sender ends, and the breaker is told: not in the order of their begin.
        End { which: usize },
        /// From now on SES answers nothing.
        Outage,
        /// Time passes.
        Wait { ms: i64 },
    }

    #[derive(Clone, Copy, Debug)]
    struct ModelRequest {
        begun_ms: i64,
        is_probe: bool,
        is_answered: bool,
    }

    /// An environment: what it knows of the breaker, the starts of its mails, its requests.
    #[derive(Clone, Default)]
    struct ModelSender {
        known: Breaker,
        starts: Vec<bool>,
        requests: Vec<ModelRequest>,
    }

    #[derive(Default)]
    struct Model {
        now_ms: i64,
        is_outage: bool,
        stored: Breaker,
        senders: Vec<ModelSender>,
        in_doubt: usize,
        elections: usize,
        /// Mails with a start or a request, and in doubt, when the breaker opened.
        at_opening: Option<usize>,
    }

    impl Model {
        fn under_way(&self) -> usize {
            self.senders.iter().map(|sender| sender.starts.len() + sender.requests.len()).sum()
        }

        fn step(&mut self, sender: usize, step: ModelStep) {
            let now = at(self.now_ms);
            match step {
                ModelStep::Wait { ms } => self.now_ms += ms,
                ModelStep::Outage => self.is_outage = true,
                ModelStep::Reserve { mails } => {
                    // The write's condition reads the stored breaker, and its answer tells the sender.
                    if !self.stored.is_open() {
                        self.senders[sender].starts.extend((0..mails).map(|_| false));
                    } else if let Some(elected) = self.stored.elect(now) {
                        self.stored = elected;
                        self.elections += 1;
                        self.senders[sender].starts.push(true);
                    }
                    self.senders[sender].known = self.stored;
                }
                ModelStep::Begin => {
                    let sender = &mut self.senders[sender];
                    let Some(is_probe) = sender.starts.pop() else { return };
                    if is_probe || !sender.known.is_open() {
                        let is_answered = !self.is_outage;
                        sender.requests.push(ModelRequest { begun_ms: self.now_ms, is_probe, is_answered });
                    }
                }
                ModelStep::End { which } => {
                    let count = self.senders[sender].requests.len();
                    if count == 0 {
                        return;
                    }
                    let request = self.senders[sender].requests.swap_remove(which % count);
                    let was_open = self.stored.is_open();
                    let changed = if request.is_answered {
                        self.stored.after_acceptance(at(request.begun_ms), request.is_probe)
                    } else {
                        self.in_doubt += 1;
                        self.stored.after_unknown(now)
                    };
                    self.stored = changed.unwrap_or(self.stored);
                    self.senders[sender].known = self.stored;
                    if self.stored.is_open() && !was_open {
                        self.at_opening = Some(self.in_doubt + self.under_way());
                    }
                }
            }
        }
    }

    fn steps() -> impl Strategy<Value = Vec<(usize, ModelStep)>> {
        let step = prop_oneof![
            4 => (1_u32..=10).prop_map(|mails| ModelStep::Reserve { mails }),
            12 => Just(ModelStep::Begin),
            12 => any::<usize>().prop_map(|which| ModelStep::End { which }),
            1 => Just(ModelStep::Outage),
            4 => (0_i64..20_000).prop_map(|ms| ModelStep::Wait { ms }),
        ];
        prop::collection::vec((0_usize..6, step), 0..400)
    }

    proptest! {
        #[test]
        fn an_outage_puts_no_more_in_doubt_than_was_under_way_and_than_tried(steps in steps()) {
            let mut model = Model { senders: vec![ModelSender::default(); 6], ..Model::default() };
            for (sender, step) in steps {
                model.step(sender, step);
                match model.at_opening {
                    // Those under way include the ones that opened it.
                    Some(at_opening) => prop_assert!(model.in_doubt <= at_opening + model.elections),
                    None => prop_assert!(model.in_doubt < usize::try_from(OPEN_AFTER).unwrap()),
                }
            }
        }
    }
}
