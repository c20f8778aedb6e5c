//! The user whose policies are checked, and what is known of the requests that its key signs.

mod mentioned;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use self::mentioned::{Mentioned, only};
use crate::account_id::is_account_id;
use crate::action::split_action;
use crate::condition::Instant;
use crate::context::RequestContext;
use crate::document::PolicyDocument;

/// The user that the policies are attached to.
///
/// A field that is not given is taken from the policies if they name exactly one value, and otherwise gets a made-up
/// one: [`PolicyReport::principal`](crate::PolicyReport) says which user the check was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Principal {
    /// Twelve digits.
    pub account_id: Option<String>,
    /// The friendly name, without path.
    pub user_name: Option<String>,
    /// `/` or `/path/`.
    pub user_path: Option<String>,
    /// The Region in which mail is sent. If it is absent and the policies name several, what is missing in any of them
    /// is missing; if they name none, it is the first of their partition.
    pub region: Option<String>,
    /// A configuration set that must be usable. If absent, any one will do.
    pub configuration_set: Option<String>,
    /// An identity that must be usable. If absent, any one will do.
    pub identity: Option<String>,
    /// The address that requests come from, if it is always the same.
    pub source_ip: Option<String>,
    /// The time of the check, RFC 3339. If it is absent or does not parse, no condition on the time can be proven.
    pub now: Option<String>,
}

/// A principal with every field filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResolvedPrincipal {
    /// Twelve digits.
    pub account_id: String,
    /// The ARN of the user.
    pub user_arn: String,
    /// The Region in which mail is sent.
    pub region: String,
    /// Further Regions that the policies name. What is missing in any of them is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_regions: Vec<String>,
    /// Which of these were not given but assumed.
    pub assumed: Vec<&'static str>,
    #[serde(skip)]
    pub(crate) partition: &'static str,
    #[serde(skip)]
    pub(crate) user_name: String,
    #[serde(skip)]
    pub(crate) user_with_path: String,
    /// The context keys known of every request that the user signs; partial.
    #[serde(skip)]
    pub(crate) context: RequestContext,
    #[serde(skip)]
    pub(crate) configuration_sets: Vec<String>,
    #[serde(skip)]
    pub(crate) identities: Vec<String>,
}

/// The account if nothing names one: that of AWS's own examples.
const DEFAULT_ACCOUNT: &str = "123456789012";
const DEFAULT_USER: &str = "mailer";
const DEFAULT_CONFIGURATION_SET: &str = "sendingbee-events";
const DEFAULT_IDENTITY: &str = "example.com";

/// The most Regions that are judged if none is given.
const MAX_REGIONS: usize = 8;

/// The most names that are tried for a configuration set or identity that was not given.
const MAX_NAMES: usize = 20;

impl Principal {
    /// The first field of user and account that AWS would not accept, and what it must be (AWS: IAM API reference,
    /// `CreateUser`).
    pub fn invalid_field(&self) -> Option<(&'static str, &'static str)> {
        let is_invalid =
            |field: &Option<String>, is_valid: fn(&str) -> bool| field.as_deref().is_some_and(|text| !is_valid(text));
        if is_invalid(&self.account_id, is_account_id) {
            return Some(("account_id", "must be 12 digits"));
        }
        if is_invalid(&self.user_name, is_user_name) {
            return Some(("user_name", "must be 1 to 64 letters, digits or _+=,.@- without the path"));
        }
        if is_invalid(&self.user_path, is_user_path) {
            let must = "must begin and end with a slash, with visible ASCII characters between, 512 at most";
            return Some(("user_path", must));
        }
        if is_invalid(&self.source_ip, |text| text.parse::<IpAddr>().is_ok()) {
            return Some(("source_ip", "must be an IPv4 or IPv6 address"));
        }
        None
    }

    /// Fills in what was not given, from the policies where they leave no choice.
    pub(crate) fn resolve(&self, documents: &[PolicyDocument]) -> ResolvedPrincipal {
        let mut assumed = Vec::new();
        let mut given_or = |given: &Option<String>, name: &'static str, otherwise: &dyn Fn() -> String| {
            given.clone().filter(|given| !given.is_empty()).unwrap_or_else(|| {
                assumed.push(name);
                otherwise()
            })
        };
        let mentioned = Mentioned::in_documents(documents);
        let account_id = given_or(&self.account_id, "account_id", &|| {
            only(&mentioned.accounts).unwrap_or(DEFAULT_ACCOUNT).to_owned()
        });
        let user = only(&mentioned.users).unwrap_or(DEFAULT_USER);
        let (mentioned_path, mentioned_name) =
            user.rsplit_once('/').map_or(("/".to_owned(), user), |(path, name)| (format!("/{path}/"), name));
        let user_name = given_or(&self.user_name, "user_name", &|| mentioned_name.to_owned());
        let path = given_or(&self.user_path, "user_path", &|| {
            if self.user_name.as_deref().is_none_or(|own| own == mentioned_name) {
                mentioned_path.clone()
            } else {
                "/".to_owned()
            }
        });
        // Regions of another partition than the first cannot be judged together with it.
        let mut regions: Vec<String> = mentioned.regions.into_iter().collect();
        if let Some(first) = regions.first() {
            let partition = partition_of(first);
            regions.retain(|region| partition_of(region) == partition);
        }
        regions.truncate(MAX_REGIONS);
        let region = given_or(&self.region, "region", &|| {
            let of_partition = || first_region(only(&mentioned.partitions).unwrap_or("aws")).to_owned();
            regions.first().cloned().unwrap_or_else(of_partition)
        });
        let is_assumed = self.region.as_deref().is_none_or(str::is_empty);
        let other_regions = if is_assumed { regions.into_iter().skip(1).collect() } else { Vec::new() };
        let partition = partition_of(&region);
        // A path begins and ends with a slash, and may have more inside. One that lacks them gets them.
        let path = path.strip_prefix('/').unwrap_or(&path);
        let slash = if path.is_empty() || path.ends_with('/') { "" } else { "/" };
        let user_with_path = format!("{path}{slash}{user_name}");
        let user_arn = format!("arn:{partition}:iam::{account_id}:user/{user_with_path}");
        let candidates = |given: &Option<String>, default: &str, mentioned: &BTreeSet<String>| match given {
            Some(given) if !given.is_empty() => vec![given.clone()],
            _ => std::iter::once(default.to_owned()).chain(mentioned.iter().cloned()).take(MAX_NAMES).collect(),
        };
        ResolvedPrincipal {
            context: self.known_context(&account_id, &user_name, &user_arn),
            configuration_sets: candidates(
                &self.configuration_set,
                DEFAULT_CONFIGURATION_SET,
                &mentioned.configuration_sets,
            ),
            identities: candidates(&self.identity, DEFAULT_IDENTITY, &mentioned.identities),
            partition,
            account_id,
            user_arn,
            user_with_path,
            region,
            other_regions,
            user_name,
            assumed,
        }
    }

    /// The context keys known of every request that a long-term key of this user signs (AWS: IAM user guide, "AWS
    /// global condition context keys").
    fn known_context(&self, account: &str, user_name: &str, user_arn: &str) -> RequestContext {
        let mut context = RequestContext::partial()
            .with("aws:username", user_name)
            .with("aws:PrincipalType", "User")
            .with("aws:PrincipalAccount", account)
            .with("aws:PrincipalArn", user_arn)
            .with("aws:PrincipalIsAWSService", "false")
            .with("aws:SecureTransport", "true")
            .with("aws:ViaAWSService", "false");
        // Only requests with temporary credentials, of federated principals, or by a service on behalf of a principal
        // have these keys.
        for absent in [
            "aws:MultiFactorAuthPresent",
            "aws:MultiFactorAuthAge",
            "aws:TokenIssueTime",
            "aws:FederatedProvider",
            "aws:SourceIdentity",
            "aws:AssumedRoot",
            "aws:CalledVia",
            "aws:CalledViaFirst",
            "aws:CalledViaLast",
            "aws:SourceArn",
            "aws:SourceAccount",
            "aws:PrincipalServiceName",
        ] {
            context = context.without(absent);
        }
        if let Some(address) = &self.source_ip {
            // A request with a public address did not come through a VPC endpoint.
            context = context
                .with("aws:SourceIp", address)
                .without("aws:SourceVpc")
                .without("aws:SourceVpce")
                .without("aws:VpcSourceIp");
        }
        if let Some((now, instant)) = self.now.as_deref().and_then(|now| Some((now, Instant::parse(now)?))) {
            // Written in digits, so that numeric and date operators both read it (AWS: "AWS global condition context
            // keys", aws:EpochTime).
            context = context.with("aws:CurrentTime", now).with("aws:EpochTime", instant.whole_seconds().to_string());
        }
        context
    }
}

impl ResolvedPrincipal {
    /// An ARN format of the Service Authorization Reference with its variables filled in.
    pub(crate) fn fill_arn(&self, arn: &str, name: &str) -> String {
        let mut filled = String::new();
        let mut rest = arn;
        while let Some((before, (variable, after))) =
            rest.split_once("${").and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
        {
            filled.push_str(before);
            filled.push_str(match variable {
                "Partition" => self.partition,
                "Region" => &self.region,
                "Account" => &self.account_id,
                _ => name,
            });
            rest = after;
        }
        filled + rest
    }

    /// The ARN of an IAM resource of the user's account, such as `user/other`.
    pub(crate) fn iam_arn(&self, path: &str) -> String {
        format!("arn:{}:iam::{}:{path}", self.partition, self.account_id)
    }

    /// The ARN of an SES resource of the user's account in a Region.
    pub(crate) fn ses_arn(&self, region: &str, kind: &str, name: &str) -> String {
        format!("arn:{}:ses:{region}:{}:{kind}/{name}", self.partition, self.account_id)
    }

    /// The Regions in which the key must be able to send.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.region).chain(&self.other_regions).map(String::as_str)
    }

    /// The context of a request that the product makes with the key: what is known of every request of the user, and
    /// what is known of this one. Where a thief makes the request, [`context`](Self::context) is all that is known.
    pub(crate) fn context_of(&self, action: &str, region: &str) -> RequestContext {
        let (service, name) = split_action(action);
        let mut context = self.context.clone();
        // IAM, and STS at its global endpoint, answer in one Region of the partition; SES where the mail is sent (AWS:
        // "AWS global condition context keys", aws:RequestedRegion).
        if !matches!(service.as_str(), "iam" | "sts") {
            context = context.with("aws:RequestedRegion", region);
        } else if let Some(region) = global_region(self.partition) {
            context = context.with("aws:RequestedRegion", region);
        }
        // The product calls version 2 of the SES API. Only what sends has an address in it (AWS: Service Authorization
        // Reference, Amazon SES v2); the product's senders and recipients differ from mail to mail.
        if service == "ses" {
            context = context.with("ses:ApiVersion", "2");
        } else {
            context = context.without("ses:ApiVersion");
        }
        if service != "ses" || !name.starts_with("send") {
            for key in ["ses:FromAddress", "ses:FromDisplayName", "ses:Recipients", "ses:FeedbackAddress"] {
                context = context.without(key);
            }
        }
        context
    }
}

/// The Region in which the global services of a partition answer, where it is documented.
fn global_region(partition: &str) -> Option<&'static str> {
    match partition {
        "aws" => Some("us-east-1"),
        "aws-cn" => Some("cn-north-1"),
        "aws-us-gov" => Some("us-gov-west-1"),
        _ => None,
    }
}

/// A Region of the partition, for policies that name none.
fn first_region(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => "us-east-1",
    }
}

fn is_user_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

fn is_user_path(text: &str) -> bool {
    // AWS: IAM API reference, `pathType`: `/`, or a character at least between the slashes.
    text.len() <= 512
        && text.starts_with('/')
        && text.ends_with('/')
        && text != "//"
        && text.bytes().all(|byte| (b'!'..=b'\x7f').contains(&byte))
}

/// The partition follows from the Region (AWS: the SDKs' partition table).
fn partition_of(region: &str) -> &'static str {
    for (start, partition) in [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ] {
        if region.starts_with(start) {
            return partition;
        }
    }
    "aws"
}
