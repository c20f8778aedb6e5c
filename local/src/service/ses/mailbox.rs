//! Addresses in the bodies of SendEmail.

use serde_json::Value;

/// What stands between the angle brackets, or all of it without any.
pub(super) fn bare(mailbox: &str) -> &str {
    let between = mailbox.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    between.map_or(mailbox, |(bare, _)| bare).trim()
}

/// The name before the angle brackets, without its quotes; `None` where there is none.
pub(super) fn display_name(mailbox: &str) -> Option<&str> {
    let (name, _) = mailbox.rsplit_once('<')?;
    let name = name.trim().trim_matches('"');
    (!name.is_empty()).then_some(name)
}

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

/// Whether this is an address of the mailbox simulator, which takes mail from the sandbox too:
/// <https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html>.
pub(super) fn is_simulator(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = local.split_once('+').map_or(local, |(plain, _)| plain);
    let known = ["success", "bounce", "complaint", "ooto", "suppressionlist"];
    domain.eq_ignore_ascii_case("simulator.amazonses.com") && known.contains(&plain)
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
