//! End to end: `revoke` and `revoke-worker`.

mod attestation;
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
mod residual_access;
mod sweep;
