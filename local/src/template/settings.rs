//! What a deployment adds to the template, and the names that CloudFormation derives from it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// What a deployment would add to the template.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The stack's name (`AWS::StackName`).
    pub(crate) stack_name: String,
    /// The operator's account, 12 digits (`AWS::AccountId`).
    pub(crate) account_id: String,
    /// The Region (`AWS::Region`).
    pub(crate) region: String,
    /// The stand-in's URL, without a trailing slash; queue URLs start with it.
    pub(crate) aws_endpoint: String,
    /// The HTTP API's URL, without a trailing slash; the value of `!GetAtt Api.ApiEndpoint`.
    pub(crate) api_endpoint: String,
    /// Values of the template's Parameters; those not named take their defaults.
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Settings {
    /// An ARN in the stack's Region and account.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account_id)
    }

    /// A name as CloudFormation makes one for a resource that has none: stack, logical id and a random part. Here that part
    /// is derived from the other two, so that the name is the same at every start.
    pub(crate) fn generated_name(&self, logical_id: &str) -> String {
        let suffix = self.derived_text::<12>(logical_id, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        format!("{}-{logical_id}-{suffix}", self.stack_name)
    }

    /// `N` characters (at most 32) of an alphabet of 36, the same for a resource at every start.
    pub(crate) fn derived_text<const N: usize>(&self, logical_id: &str, alphabet: &[u8; 36]) -> String {
        let digest = self.digest(logical_id);
        digest.iter().take(N).map(|byte| char::from(alphabet[usize::from(byte % 36)])).collect()
    }

    /// A UUID (version 4 in form), the same for a resource at every start.
    pub(crate) fn derived_uuid(&self, logical_id: &str) -> String {
        let hex: String = self.digest(logical_id)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }

    fn digest(&self, logical_id: &str) -> [u8; 32] {
        Sha256::digest(format!("{}/{}/{}/{logical_id}", self.account_id, self.region, self.stack_name)).into()
    }
}
