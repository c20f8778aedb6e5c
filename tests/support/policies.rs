//! Policies that tenants attach to their users.

use serde_json::{Value, json};

/// The classic policy: the one that tenants were asked to attach before there was a hardened one.
pub(crate) fn classic_policy() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": ["ses:*"], "Resource": "*" },
            {
                "Effect": "Allow",
                "Action": ["iam:GetUser", "iam:DeleteAccessKey"],
                "Resource": "arn:aws:iam::*:user/*"
            }
        ]
    })
}

/// A policy that allows these actions on every resource.
pub(crate) fn policy_allowing(actions: &[&str]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }] })
}
