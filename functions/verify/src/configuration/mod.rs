//! The configuration of a tenant's SES, with the tenant's consent.

pub(crate) mod configuration_view;
