//! Lambda's detection of recursive loops (Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite
//! loops").
//!
//! Lambda counts a function's invocations in one chain in the `Lineage` field of the trace header that it gives each
//! invocation. The SDK in the function sends that header on as `X-Amzn-Trace-Id`, SQS stores it as the message's
//! `AWSTraceHeader`, and the next invocation reads it there. The SQS of the stand-in stores it too.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::clock;

/// Lambda stops a function after about this many invocations in one chain (same page).
const MAX_INVOCATIONS: u32 = 16;

/// The lineage of a chain of invocations: how often each function was invoked in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lineage {
    /// The hash of each function and its count, oldest first.
    counts: Vec<(String, u32)>,
}

impl Lineage {
    /// Parses `Root=…;Parent=…;Sampled=…;Lineage=hash:count|hash:count`. A header that cannot be read is an empty lineage.
    pub(super) fn parse(header: &str) -> Self {
        let field = header.split(';').find_map(|field| field.trim().strip_prefix("Lineage="));
        let counts = field
            .unwrap_or_default()
            .split('|')
            .filter_map(|entry| {
                let (hash, count) = entry.rsplit_once(':')?;
                Some((hash.to_owned(), count.parse().ok()?))
            })
            .collect();
        Self { counts }
    }

    /// Whether one more invocation of this function would be too many.
    pub(super) fn is_exhausted(&self, function_arn: &str) -> bool {
        self.count(&hash_arn(function_arn)).is_some_and(|count| count + 1 >= MAX_INVOCATIONS)
    }

    /// The lineage after one more invocation of this function.
    pub(super) fn after_invocation_of(mut self, function_arn: &str) -> Self {
        let hash = hash_arn(function_arn);
        match self.counts.iter_mut().find(|(other, _)| *other == hash) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.counts.push((hash, 0)),
        }
        self
    }

    /// The lineage of a batch in which several chains meet: the highest count of each function.
    pub(super) fn merge(mut self, other: Self) -> Self {
        for (hash, count) in other.counts {
            match self.counts.iter_mut().find(|(known, _)| *known == hash) {
                Some((_, known)) => *known = count.max(*known),
                None => self.counts.push((hash, count)),
            }
        }
        self
    }

    /// A trace header with this lineage.
    pub(super) fn to_trace_header(&self, now: Timestamp) -> String {
        let counts: Vec<String> = self.counts.iter().map(|(hash, count)| format!("{hash}:{count}")).collect();
        format!(
            "Root=1-{:08x}-{};Parent={};Sampled=0;Lineage={}",
            now.as_second(),
            clock::random_hex::<24>(),
            clock::random_hex::<16>(),
            counts.join("|")
        )
    }

    fn count(&self, hash: &str) -> Option<u32> {
        self.counts.iter().find(|(other, _)| other == hash).map(|(_, count)| *count)
    }
}

fn hash_arn(function_arn: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(function_arn).into();
    digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_exhausted_after_sixteen_invocations() {
        let mut invocations = 0;
        let mut header = String::new();
        loop {
            let lineage = Lineage::parse(&header);
            if lineage.is_exhausted("arn:f") {
                break;
            }
            invocations += 1;
            header = lineage.after_invocation_of("arn:f").to_trace_header(Timestamp::UNIX_EPOCH);
        }
        assert_eq!(invocations, 16);
        assert!(!Lineage::parse(&header).is_exhausted("arn:another"));
    }

    #[test]
    fn chains_that_meet_keep_the_highest_count() {
        let merged = Lineage::parse("Lineage=aa:3|bb:1").merge(Lineage::parse("Root=1;Lineage=bb:7|cc:0"));
        assert_eq!(merged, Lineage::parse("Lineage=aa:3|bb:7|cc:0"));
    }

    #[test]
    fn a_header_without_a_lineage_is_an_empty_lineage() {
        assert_eq!(Lineage::parse("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"), Lineage::default());
        assert_eq!(Lineage::parse("Lineage=nonsense"), Lineage::default());
    }
}
