//! End to end: `revoke` and `revoke-worker`.

mod attestation;
mod audit;
mod blocked;
mod breach;
mod containment;
mod crash;
mod custody;
mod drill;
mod halt;
mod intake;
mod many_keys;
mod notices;
mod outsider;
mod proof;
mod race;
mod residual_access;
mod revocability;
mod scopes;
mod sweep;
mod webhook;
