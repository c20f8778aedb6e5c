//! The DNS records that a domain still needs so that mail from it is signed, and what is recommended beside them.

use shared::record::{DnsPurpose, DnsRecord, IdentityState};
use shared::tenant::{DkimKeys, DnsFound, DomainIdentity, MailFromDomain, Region};

/// Where SES publishes the public keys of Easy DKIM, where it does not say so itself (SES developer guide, "Easy DKIM in Amazon
/// SES").
const DKIM_ZONE: &str = "dkim.amazonses.com";

/// SES's record for a MAIL FROM domain (SES developer guide, "Using a custom MAIL FROM domain").
const SPF: &str = "\"v=spf1 include:amazonses.com ~all\"";

/// A policy that changes nothing about delivery (SES developer guide, "Complying with DMARC authentication protocol in Amazon SES").
const DMARC: &str = "\"v=DMARC1; p=none;\"";

/// What a domain still needs.
pub(super) fn state_of_domain(domain: &str, seen: &DomainIdentity, region: Region) -> IdentityState {
    let (mut dns_records, mut hints) = (Vec::new(), Vec::new());
    match (seen.dkim, &seen.dkim_keys) {
        (DnsFound::Yes, _) => {}
        (_, DkimKeys::OfSes { tokens, .. }) if tokens.is_empty() => hints.push(
            "DKIM was never set up for this domain: switch Easy DKIM on for it in SES, which then gives the records."
                .to_owned(),
        ),
        (_, DkimKeys::OfSes { tokens, zone }) => {
            let zone = zone.as_deref().unwrap_or(DKIM_ZONE);
            dns_records.extend(tokens.iter().map(|token| {
                required(DnsPurpose::Dkim, "CNAME", format!("{token}._domainkey.{domain}"), format!("{token}.{zone}"))
            }));
        }
        (_, DkimKeys::OfTenant { selector }) => hints.push(format!(
            "The domain signs with a key pair of its own: SES waits for the TXT record {selector}._domainkey.{domain} \
             with the public key."
        )),
    }
    match &seen.mail_from {
        Some(MailFromDomain { mx_found: true, .. }) | None => {}
        Some(MailFromDomain { domain, refuses_mail, .. }) => {
            let server = format!("10 feedback-smtp.{region}.amazonses.com");
            dns_records.push(required(DnsPurpose::MailFrom, "MX", domain.clone(), server));
            dns_records.push(required(DnsPurpose::MailFrom, "TXT", domain.clone(), SPF.to_owned()));
            if *refuses_mail {
                hints.push(format!(
                    "SES refuses mail from this domain as long as the MX record of {domain} is missing, because the identity \
                     says so (REJECT_MESSAGE)."
                ));
            }
        }
    }
    dns_records.push(DnsRecord {
        purpose: DnsPurpose::Dmarc,
        record_type: "TXT".to_owned(),
        name: format!("_dmarc.{domain}"),
        value: DMARC.to_owned(),
        required: false,
    });
    IdentityState { name: domain.to_owned(), verified: seen.verified, dns_records: Some(dns_records), hints }
}

fn required(purpose: DnsPurpose, record_type: &str, name: String, value: String) -> DnsRecord {
    DnsRecord { purpose, record_type: record_type.to_owned(), name, value, required: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(seen: &DomainIdentity) -> (Vec<String>, usize) {
        let state = state_of_domain("example.com", seen, Region::parse("eu-central-1").unwrap());
        let records = state.dns_records.unwrap();
        let shown = records.iter().map(|record| {
            let optional = if record.required { "" } else { " (recommended)" };
            format!("{} {} {}{optional}", record.name, record.record_type, record.value)
        });
        (shown.collect(), state.hints.len())
    }

    #[test]
    fn each_record_that_ses_waits_for_is_written_out_and_dmarc_is_recommended() {
        const RECOMMENDED: &str = "_dmarc.example.com TXT \"v=DMARC1; p=none;\" (recommended)";
        let of_ses = |tokens: &[&str], zone: Option<&str>| DkimKeys::OfSes {
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            zone: zone.map(str::to_owned),
        };
        let mail_from = |mx_found, refuses_mail| {
            Some(MailFromDomain { domain: "bounce.example.com".to_owned(), mx_found, refuses_mail })
        };
        let mx = "bounce.example.com MX 10 feedback-smtp.eu-central-1.amazonses.com";
        let spf = "bounce.example.com TXT \"v=spf1 include:amazonses.com ~all\"";
        let cases = [
            (DnsFound::Yes, of_ses(&["a"], None), None, vec![], 0),
            (DnsFound::Yes, of_ses(&["a"], None), mail_from(true, true), vec![], 0),
            (
                DnsFound::No,
                of_ses(&["a", "b"], None),
                None,
                vec![
                    "a._domainkey.example.com CNAME a.dkim.amazonses.com",
                    "b._domainkey.example.com CNAME b.dkim.amazonses.com",
                ],
                0,
            ),
            (
                DnsFound::NotStarted,
                of_ses(&["a"], Some("xyz.dkim.af-south-1.amazonses.com")),
                None,
                vec!["a._domainkey.example.com CNAME a.xyz.dkim.af-south-1.amazonses.com"],
                0,
            ),
            (DnsFound::NotStarted, of_ses(&[], None), None, vec![], 1),
            (DnsFound::No, DkimKeys::OfTenant { selector: "mine".to_owned() }, None, vec![], 1),
            (DnsFound::Yes, of_ses(&["a"], None), mail_from(false, false), vec![mx, spf], 0),
            (DnsFound::Yes, of_ses(&["a"], None), mail_from(false, true), vec![mx, spf], 1),
        ];
        for (dkim, dkim_keys, mail_from, mut expected, hints) in cases {
            let seen = DomainIdentity { verified: true, dkim, dkim_keys, mail_from };
            expected.push(RECOMMENDED);
            assert_eq!(records(&seen), (expected.into_iter().map(str::to_owned).collect(), hints), "{seen:?}");
        }
    }
}
