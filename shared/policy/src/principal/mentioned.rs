//! Names that policies mention. They replace what was not given about the principal.

use std::collections::BTreeSet;

use crate::account_id::is_account_id;
use crate::document::PolicyDocument;

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
}

impl Mentioned {
    pub(super) fn in_documents(documents: &[PolicyDocument]) -> Self {
        let mut mentioned = Self::default();
        for resource in
            documents.iter().flat_map(PolicyDocument::statements).flat_map(|statement| statement.resources())
        {
            let fields: Vec<&str> = resource.splitn(6, ':').collect();
            let [_, _, service, _, account, path] = fields[..] else { continue };
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
        mentioned
    }
}

/// The name, if there is exactly one.
pub(super) fn only(names: &BTreeSet<String>) -> Option<&str> {
    if names.len() == 1 { names.first().map(String::as_str) } else { None }
}
