//! The handler over the wire, against a fake AWS.

mod assurance;
mod leak;
mod onboarding;
mod own_policies;
mod reading;
mod rotation;
