//! End to end: `revoke` and `revoke-worker`.

mod breach;
mod crowd;
mod custody;
mod hindrance;
mod intake;
mod kill;
mod order;
mod outsider;
mod proof;
mod race;
mod records;
mod sweep;
