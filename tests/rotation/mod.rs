//! End to end: the replacement of a provider's key.

mod crash;
mod fallback;
mod flow;
mod grace;
mod refusal;
mod report;
