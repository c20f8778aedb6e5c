//! Random ids and secrets, from the operating system.

/// Fills an array.
///
/// Where the operating system has no randomness to give, which happens on none that `local` runs on, the array
/// stays zero: ids then collide and the start fails on the first duplicate.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in's one source of randomness, whose secrets open nothing else"
)]
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gave no random bytes");
    }
    bytes
}

/// A random UUID, the form of AWS's request and event ids.
pub(crate) fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// `N` characters of `alphabet`, which must have at most 256.
pub(crate) fn text<const N: usize>(alphabet: &[u8]) -> String {
    // The bias of a modulo is of no importance for credentials that open nothing but this process.
    bytes::<N>().iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}

/// A number of 0 to below 1.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::from_be_bytes(bytes())) / (f64::from(u32::MAX) + 1.0)
}
