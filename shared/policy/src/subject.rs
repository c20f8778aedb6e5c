//! Whose policies are checked, and what is known of the requests made with the key.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::condition::Instant;
use crate::context::Context;
use crate::document::Document;
use crate::inclusion::Scene;
use crate::reference::is_account_id;

/// The user that the policies are attached to. What is not given is taken from the policies where they leave no choice,
/// and otherwise made up: [`Report::subject`](crate::Report) says what the check was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// Twelve digits.
    pub account_id: Option<String>,
    /// The friendly name, without path.
    pub user_name: Option<String>,
    /// `/` or `/path/`.
    pub user_path: Option<String>,
    /// Where mail is sent; `us-east-1` if absent.
    pub region: Option<String>,
    /// A configuration set that must be usable. If absent, any one will do.
    pub configuration_set: Option<String>,
    /// An identity that must be usable. If absent, any one will do.
    pub identity: Option<String>,
    /// The address that requests come from, if it is always the same.
    pub source_ip: Option<String>,
    /// The time of the check, RFC 3339. If absent or no time, no condition on the time can be proven.
    pub now: Option<String>,
}

/// A subject with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedSubject {
    /// Twelve digits.
    pub account_id: String,
    /// The ARN of the user.
    pub user_arn: String,
    /// Where mail is sent.
    pub region: String,
    /// Which of these were not given but assumed.
    pub assumed: Vec<&'static str>,
    #[serde(skip)]
    pub(crate) user_name: String,
    #[serde(skip)]
    pub(crate) scene: Scene,
    #[serde(skip)]
    pub(crate) configuration_sets: Vec<String>,
    #[serde(skip)]
    pub(crate) identities: Vec<String>,
}

/// Stands for the account if nothing says which it is: the one in AWS's own examples.
const SOME_ACCOUNT: &str = "123456789012";
const SOME_USER: &str = "mailer";
const SOME_REGION: &str = "us-east-1";
const SOME_CONFIGURATION_SET: &str = "sendingbee-events";
const SOME_IDENTITY: &str = "example.com";

impl Subject {
    /// The first field of user and account that AWS would not take, and what it must be (AWS: IAM API reference,
    /// `CreateUser`).
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let bad = |field: &Option<String>, fits: fn(&str) -> bool| field.as_deref().is_some_and(|text| !fits(text));
        if bad(&self.account_id, is_account_id) {
            return Some(("account_id", "must be 12 digits"));
        }
        if bad(&self.user_name, is_user_name) {
            return Some(("user_name", "must be 1 to 64 letters, digits or _+=,.@- without the path"));
        }
        if bad(&self.user_path, is_user_path) {
            let must = "must begin and end with a slash, with visible ASCII characters between, 512 at most";
            return Some(("user_path", must));
        }
        None
    }

    pub(crate) fn resolve(&self, documents: &[Document]) -> CheckedSubject {
        let mut assumed = Vec::new();
        let mut or = |given: &Option<String>, name: &'static str, otherwise: &dyn Fn() -> String| {
            given.clone().filter(|given| !given.is_empty()).unwrap_or_else(|| {
                assumed.push(name);
                otherwise()
            })
        };
        let mentioned = Mentioned::read(documents);
        let account =
            or(&self.account_id, "account_id", &|| only(&mentioned.accounts).unwrap_or(SOME_ACCOUNT).to_owned());
        let user = only(&mentioned.users).unwrap_or(SOME_USER);
        let (mentioned_path, mentioned_name) =
            user.rsplit_once('/').map_or(("/".to_owned(), user), |(path, name)| (format!("/{path}/"), name));
        let user_name = or(&self.user_name, "user_name", &|| mentioned_name.to_owned());
        let path = or(&self.user_path, "user_path", &|| {
            if self.user_name.as_deref().is_none_or(|own| own == mentioned_name) {
                mentioned_path.clone()
            } else {
                "/".to_owned()
            }
        });
        let region = or(&self.region, "region", &|| SOME_REGION.to_owned());
        let partition = partition_of(&region);
        let path = format!("{}/", path.trim_matches('/')).trim_start_matches('/').to_owned();
        let user_with_path = format!("{path}{user_name}");
        let user_arn = format!("arn:{partition}:iam::{account}:user/{user_with_path}");
        let one_of = |given: &Option<String>, some: &str, mentioned: &BTreeSet<String>| match given {
            Some(given) => vec![given.clone()],
            None => std::iter::once(some.to_owned()).chain(mentioned.iter().cloned()).take(MAX_NAMES).collect(),
        };
        CheckedSubject {
            scene: Scene {
                context: self.known_context(&account, &user_name, &user_arn),
                partition: partition.to_owned(),
                region: region.clone(),
                account: account.clone(),
                user_with_path,
            },
            configuration_sets: one_of(&self.configuration_set, SOME_CONFIGURATION_SET, &mentioned.configuration_sets),
            identities: one_of(&self.identity, SOME_IDENTITY, &mentioned.identities),
            account_id: account,
            user_arn,
            region,
            user_name,
            assumed,
        }
    }

    /// What is known of every request that a long-term key of this user signs: AWS: IAM user guide, "AWS global
    /// condition context keys".
    fn known_context(&self, account: &str, user_name: &str, user_arn: &str) -> Context {
        let mut context = Context::partial()
            .with("aws:username", user_name)
            .with("aws:PrincipalType", "User")
            .with("aws:PrincipalAccount", account)
            .with("aws:PrincipalArn", user_arn)
            .with("aws:PrincipalIsAWSService", "false")
            .with("aws:SecureTransport", "true")
            .with("aws:ViaAWSService", "false");
        // Only temporary credentials, federated principals and services that call on somebody's behalf have these.
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
            // Digits, so that both numeric and date operators read it (AWS: "AWS global condition context keys",
            // aws:EpochTime).
            context = context.with("aws:CurrentTime", now).with("aws:EpochTime", instant.whole_seconds().to_string());
        }
        context
    }
}

fn is_user_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

fn is_user_path(text: &str) -> bool {
    text.len() <= 512
        && text.starts_with('/')
        && text.ends_with('/')
        && text.bytes().all(|byte| (b'!'..=b'\x7f').contains(&byte))
}

/// Names tried for something that was not given.
const MAX_NAMES: usize = 20;

/// The longest name that is tried, in bytes. Names of users and configuration sets have 64 at most (AWS: IAM and SES
/// API references), before which a path may stand.
const MAX_NAME: usize = 256;

/// The partition follows the region (AWS: the SDKs' partition table).
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

/// Names that the policies' resources mention without wildcards.
#[derive(Default)]
struct Mentioned {
    accounts: BTreeSet<String>,
    users: BTreeSet<String>,
    configuration_sets: BTreeSet<String>,
    identities: BTreeSet<String>,
}

impl Mentioned {
    fn read(documents: &[Document]) -> Self {
        let mut mentioned = Self::default();
        for resource in documents.iter().flat_map(Document::statements).flat_map(|statement| statement.resources()) {
            let fields: Vec<&str> = resource.splitn(6, ':').collect();
            let [_, _, service, _, account, path] = fields[..] else { continue };
            if is_account_id(account) && matches!(service, "iam" | "ses") {
                mentioned.accounts.insert(account.to_owned());
            }
            // A name that begins as the policy wants it, with the wildcards filled in.
            let usable = |name: &&str| (1..=MAX_NAME).contains(&name.len()) && !name.contains("${");
            let name = |kind: &str| path.strip_prefix(kind).filter(usable);
            let plain = |name: &&str| !name.contains(['*', '?']);
            if service == "iam" {
                mentioned.users.extend(name("user/").filter(plain).map(str::to_owned));
            } else if service == "ses" {
                mentioned.configuration_sets.extend(name("configuration-set/").map(|name| {
                    name.replace('*', "").replace('?', "x") + if name.ends_with('*') { "events" } else { "" }
                }));
                mentioned.identities.extend(
                    name("identity/").map(|name| {
                        if plain(&name) { name.to_owned() } else { name.replace('*', "a").replace('?', "x") }
                    }),
                );
            }
        }
        mentioned
    }
}

fn only(names: &BTreeSet<String>) -> Option<&str> {
    if names.len() == 1 { names.first().map(String::as_str) } else { None }
}
