//! Policies that tenants attach.

use serde_json::{Value, json};

/// The policy that tenants have been told to attach so far.
pub(crate) fn classic() -> Value {
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

/// The classic policy less some actions of SES and IAM, each action written out.
pub(crate) fn only(actions: &[&str]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }] })
}
