//! When what is looked at periodically is due: at a slot that follows from its id, so that looks are spread evenly however the
//! things were onboarded, with some jitter, so that what a tenant's CloudTrail shows is not periodic.

use jiff::{SignedDuration, Timestamp};

use crate::runtime::Ambient;

/// A number that stays the same for an id and is spread evenly over all ids: FNV-1a
/// (<http://www.isthe.com/chongo/tech/comp/fnv/>).
pub fn slot_of(id: &str) -> u64 {
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // Its low bits follow from few characters.
    hash ^ (hash >> 32)
}

/// The slot of an id half a period to one and a half from now, and at most a hundredth of the period later.
pub fn next_slot(id: &str, period: SignedDuration, now: Timestamp, ambient: &Ambient) -> Timestamp {
    let seconds = period.as_secs().max(1);
    let slot = i64::try_from(slot_of(id) % seconds.unsigned_abs()).unwrap_or(0);
    let earliest = now.as_second() + seconds / 2;
    let wait = SignedDuration::from_secs(seconds / 2 + (slot - earliest).rem_euclid(seconds));
    after_with_jitter(now, wait, SignedDuration::from_secs(seconds / 100), ambient)
}

/// So long from now, and at most `jitter` longer.
pub fn after_with_jitter(now: Timestamp, wait: SignedDuration, jitter: SignedDuration, ambient: &Ambient) -> Timestamp {
    let jitter = ambient.below(jitter.as_secs().max(0).unsigned_abs() + 1);
    let wait = wait + SignedDuration::from_secs(i64::try_from(jitter).unwrap_or(0));
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_spread_evenly() {
        let mut hours = [0_u32; 168];
        for n in 0..16_800_u32 {
            let digit = |place: u32| char::from(b'A' + u8::try_from(n / 26_u32.pow(place) % 26).unwrap());
            let id = format!("AKIASP2TPHJS{}{}{}{}RUX2", digit(3), digit(2), digit(1), digit(0));
            hours[usize::try_from(slot_of(&id) % 168).unwrap()] += 1;
        }
        assert!(hours.iter().all(|keys| (60..150).contains(keys)), "{hours:?}");
    }
}
