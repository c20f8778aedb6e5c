//! Names that policies mention. They replace what was not given about the principal.

use std::collections::BTreeSet;

use crate::account_id::is_account_id;
use crate::condition::Condition;
use crate::document::{Effect, PolicyDocument, Statement};

/// The longest name that is tried, in bytes. Names of users and configuration sets have at most 64 (AWS: IAM and SES
/// API references), and a path may precede them.
const MAX_NAME: usize = 256;

/// Names in the policies' resources. Accounts and users must be written without wildcards.
#[derive(Default)]
pub(super) struct Mentioned {
    pub(super) accounts: BTreeSet<String>,
    pub(super) users: BTreeSet<String>,
    pub(super) configuration_sets: BTreeSet<String>,
    pub(super) identities: BTreeSet<String>,
    /// Regions in which the policies grant something in SES.
    pub(super) regions: BTreeSet<String>,
    /// Partitions in which they grant something in SES or IAM.
    pub(super) partitions: BTreeSet<String>,
}

impl Mentioned {
    pub(super) fn in_documents(documents: &[PolicyDocument]) -> Self {
        let mut mentioned = Self::default();
        let statements = || documents.iter().flat_map(PolicyDocument::statements);
        let resources = statements().flat_map(|statement| {
            // Where a deny takes something away, or an exception is made, nobody sends.
            let grants = (statement.effect() == Effect::Allow) != statement.excludes_resources();
            statement.resources().map(move |resource| (grants, resource))
        });
        for (grants, resource) in resources {
            let fields: Vec<&str> = resource.splitn(6, ':').collect();
            let [_, partition, service, region, account, path] = fields[..] else { continue };
            if grants && service == "ses" && is_region(region) {
                mentioned.regions.insert(region.to_owned());
            }
            if grants && matches!(service, "iam" | "ses") && !partition.contains(['*', '?', '$']) {
                mentioned.partitions.insert(partition.to_owned());
            }
            if is_account_id(account) && matches!(service, "iam" | "ses") {
                mentioned.accounts.insert(account.to_owned());
            }
            // The name as the pattern writes it; wildcards are filled in below.
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
        // A condition on the Region counts only where no resource names one: the usual deny outside some Regions lists
        // us-east-1 for the sake of global services.
        if mentioned.regions.is_empty() {
            mentioned.regions =
                statements().filter(|statement| concerns_ses(statement)).flat_map(regions_of_conditions).collect();
        }
        mentioned
    }
}

/// Whether the statement can match an action of SES.
fn concerns_ses(statement: &Statement) -> bool {
    let mut services = statement.actions.patterns.iter().map(|pattern| pattern.service());
    statement.excludes_actions() || services.any(|service| service.is_none_or(|service| service == "ses"))
}

/// The Regions in which the statement's conditions let requests pass.
fn regions_of_conditions(statement: &Statement) -> impl Iterator<Item = String> {
    let grants = statement.effect() == Effect::Allow;
    let names = move |condition: &&Condition| {
        condition.key().eq_ignore_ascii_case("aws:RequestedRegion") && condition.operator().is_negated() != grants
    };
    statement
        .conditions()
        .iter()
        .filter(names)
        .flat_map(Condition::values)
        .filter(|value| is_region(value))
        .map(str::to_owned)
}

/// Whether the text has the form of a Region: `eu-central-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    (9..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && parts
            .next_back()
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        && parts.count() >= 2
}

/// The name, if there is exactly one.
pub(super) fn only(names: &BTreeSet<String>) -> Option<&str> {
    if names.len() == 1 { names.first().map(String::as_str) } else { None }
}
