//! The Regions that have SES.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The text names no Region with SES.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not an AWS Region with Amazon SES that is known here, such as eu-central-1")]
pub struct UnknownRegion;

/// A Region with SES. A list and not a pattern: a Region is part of a host name that a tenant's secret signs for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(&'static str);

/// Regions of the table "Amazon Simple Email Service endpoints and quotas" of the AWS General Reference, SES API v2.
const REGIONS: [&str; 29] = [
    "af-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

impl Region {
    /// The Region of this name.
    ///
    /// # Errors
    /// [`UnknownRegion`] where the compiled list does not hold it.
    pub fn parse(name: &str) -> Result<Self, UnknownRegion> {
        REGIONS.into_iter().find(|known| *known == name).map(Self).ok_or(UnknownRegion)
    }

    /// The Region's name.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The partition, as in ARNs. A key works in its own partition only.
    pub fn partition(self) -> &'static str {
        if self.0.starts_with("us-gov-") { "aws-us-gov" } else { "aws" }
    }

    /// The Region of the partition that holds IAM's control plane. It cannot be disabled, so STS there knows every key
    /// of the partition; in a Region that an account has not enabled, a live key is refused as unknown.
    pub(crate) fn home(self) -> Self {
        if self.0.starts_with("us-gov-") { Self("us-gov-west-1") } else { Self("us-east-1") }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl Serialize for Region {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}
