//! End to end: `revoke` and `revoke-worker`.

mod block_reason;
mod breach;
mod crowd;
mod custody;
mod intake;
mod kill;
mod order;
mod outsider;
mod proof;
mod race;
mod records;
mod sweep;
