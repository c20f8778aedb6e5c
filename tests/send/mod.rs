//! End to end: `send`.

mod content;
mod crash;
mod delivery;
mod doubt;
mod identity;
mod pace;
mod refusal;
mod rejection;
mod stop;
