//! Addresses in the bodies of SendEmail.

use serde_json::Value;

/// The bare address of `a@example.com` or `Name <a@example.com>`; `None` where there is no `@` in it.
pub(super) fn address(mailbox: &str) -> Option<&str> {
    let bare = match mailbox.rsplit_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => mailbox,
    };
    let bare = bare.trim();
    let (local, domain) = bare.rsplit_once('@')?;
    (!local.is_empty() && !domain.is_empty()).then_some(bare)
}

/// All recipients of a mail, as its Destination has them.
pub(super) fn recipients(mail: &Value) -> impl Iterator<Item = &str> {
    ["ToAddresses", "CcAddresses", "BccAddresses"]
        .into_iter()
        .filter_map(|kind| mail["Destination"][kind].as_array())
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_name() {
        for (mailbox, expected) in [
            ("a@example.com", Some("a@example.com")),
            ("Jane <jane@example.com>", Some("jane@example.com")),
            ("\"<odd>\" <a@example.com>", Some("a@example.com")),
            ("nobody", None),
            ("@example.com", None),
            ("a <b", None),
        ] {
            assert_eq!(address(mailbox), expected, "{mailbox}");
        }
    }
}
