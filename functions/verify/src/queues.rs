//! The queues of the stack, as they are counted for operators.

use shared::queue::{Queue, QueueDepth, QueueReadError};
use shared::runtime::ColdStart;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::ColdStartError;

/// What `GET /queues` calls them, in the order of its answer. The variable `QUEUE_URLS` has one URL for each.
const NAMES: [&str; 9] = [
    "send",
    "send_dead_letter",
    "breach",
    "breach_dead_letter",
    "revocation",
    "revocation_dead_letter",
    "revocability",
    "verification",
    "verification_dead_letter",
];

/// The name of the variable, in the template too.
const VARIABLE: &str = "QUEUE_URLS";

/// All queues of the stack, which are only counted.
pub(crate) struct Queues(Vec<(&'static str, Queue)>);

/// The variable that names the queues names others, or not all.
#[derive(Debug, Error)]
#[error("the environment variable {VARIABLE} must name one queue for each of {}", NAMES.join(", "))]
pub struct InvalidQueueUrls;

impl Queues {
    /// The queues that `QUEUE_URLS` names: `<name>=<URL>`, with spaces between them.
    pub(crate) fn new(start: &ColdStart) -> Result<Self, ColdStartError> {
        let urls = parse(&start.required(VARIABLE)?).ok_or(InvalidQueueUrls)?;
        let sqs = start.sqs()?;
        let queues = NAMES.into_iter().zip(urls).map(|(name, url)| (name, Queue::new(sqs.clone(), url, name)));
        Ok(Self(queues.collect()))
    }

    /// How many messages each of them holds, in the order of [`NAMES`], or why that is not known. They are asked at the same time.
    pub(crate) async fn depths(&self) -> Vec<(&'static str, Result<QueueDepth, QueueReadError>)> {
        let mut counts = JoinSet::new();
        for (place, (_, queue)) in self.0.iter().enumerate() {
            let queue = queue.clone();
            counts.spawn(async move { (place, queue.depth().await) });
        }
        let mut depths = counts.join_all().await;
        depths.sort_by_key(|(place, _)| *place);
        depths.into_iter().map(|(place, depth)| (self.0[place].0, depth)).collect()
    }
}

/// One URL for each of [`NAMES`], in their order.
fn parse(text: &str) -> Option<Vec<String>> {
    let given: Vec<(&str, &str)> = text.split_whitespace().map(|pair| pair.split_once('=')).collect::<Option<_>>()?;
    let url = |name| given.iter().find(|(given, _)| *given == name).map(|(_, url)| (*url).to_owned());
    let urls = NAMES.into_iter().map(url).collect::<Option<Vec<_>>>()?;
    (given.len() == NAMES.len()).then_some(urls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_has_one_url_and_no_other_is_named() {
        let text = NAMES.map(|name| format!("{name}=https://sqs.eu-central-1.amazonaws.com/1/{name}"));
        let urls = parse(&text.join(" ")).unwrap();
        assert!(urls.iter().zip(NAMES).all(|(url, name)| url.ends_with(&format!("/1/{name}"))), "{urls:?}");
        let mut reversed = text.clone();
        reversed.reverse();
        assert_eq!(parse(&reversed.join("\n  ")).unwrap(), urls);
        for wrong in [text[1..].join(" "), format!("{} more=https://x", text.join(" ")), "https://x".to_owned()] {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }
}
