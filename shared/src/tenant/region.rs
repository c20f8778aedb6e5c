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
pub struct Region {
    name: &'static str,
    partition: &'static str,
    home: &'static str,
}

/// One Region a line, from AWS's endpoint data; the first line says how the file is made.
const REGIONS: &str = include_str!("../../data/ses_regions.txt");

impl Region {
    /// The Region of this name.
    ///
    /// # Errors
    /// [`UnknownRegion`] if the embedded list does not contain it.
    pub fn parse(name: &str) -> Result<Self, UnknownRegion> {
        Self::all().find(|region| region.name == name).ok_or(UnknownRegion)
    }

    /// All of them, by name within their partition.
    pub fn all() -> impl Iterator<Item = Self> {
        REGIONS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let mut fields = line.split(' ');
            Some(Self { name: fields.next()?, partition: fields.next()?, home: fields.next()? })
        })
    }

    /// The Region's name.
    pub fn as_str(self) -> &'static str {
        self.name
    }

    /// The partition, as in ARNs. A key works in its own partition only.
    pub fn partition(self) -> &'static str {
        self.partition
    }

    /// The host of the partition's console; `None` where it is not known. AWS's own guides link to them: for GovCloud the ECS
    /// developer guide, "Amazon ECS-optimized Linux AMIs", for China the IAM user guide at docs.amazonaws.cn.
    pub fn console_host(self) -> Option<&'static str> {
        match self.partition {
            "aws" => Some("console.aws.amazon.com"),
            "aws-cn" => Some("console.amazonaws.cn"),
            "aws-us-gov" => Some("console.amazonaws-us-gov.com"),
            _ => None,
        }
    }

    /// As the SDK has it.
    pub(super) fn to_sdk(self) -> aws_types::region::Region {
        aws_types::region::Region::from_static(self.name)
    }

    /// The Region of the partition that holds IAM's control plane. It cannot be disabled, so STS there knows every key
    /// of the partition; in a Region that an account has not enabled, a live key is refused as unknown.
    pub(crate) fn home(self) -> &'static str {
        self.home
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Serialize for Region {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_of_the_list_is_known_with_its_partition() {
        let lines = REGIONS.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(Region::all().count(), lines);
        for region in Region::all() {
            assert_eq!(Region::parse(region.as_str()), Ok(region));
            assert!(region.console_host().is_some(), "{region}");
            // The home Region is one of the list, too: a tenant's secret signs for it.
            assert_eq!(Region::parse(region.home()).map(Region::partition), Ok(region.partition()));
        }
        // Listed by AWS and refused before the list was taken from its data.
        for name in ["ap-east-2", "ap-southeast-4", "ap-southeast-6", "ap-southeast-7", "eu-south-2", "mx-central-1"] {
            assert!(Region::parse(name).is_ok(), "{name}");
        }
        for name in ["", "#", "eu-central", "aws", "us-east-1 aws", "cn-north-1", "fips-us-east-1"] {
            assert_eq!(Region::parse(name), Err(UnknownRegion), "{name}");
        }
    }
}
