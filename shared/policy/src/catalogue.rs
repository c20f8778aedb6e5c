//! The actions that AWS has, as far as they matter here: SES, IAM and STS whole, the sensitive ones of the other
//! services.
//!
//! `data/catalogue.txt` says where it comes from and of which day it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use crate::severity::{Severity, rate};

/// What the embedded list says.
pub(crate) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(TEXT));

const TEXT: &str = include_str!("../data/catalogue.txt");

#[derive(Debug)]
pub(crate) struct Catalogue {
    services: BTreeMap<&'static str, Service>,
    /// Services that exist and of which nothing is listed.
    prefixes: BTreeSet<&'static str>,
    universes: Vec<Universe>,
}

#[derive(Debug)]
pub(crate) struct Service {
    /// Whether all its actions are listed.
    pub(crate) whole: bool,
    pub(crate) actions: Vec<Action>,
}

#[derive(Debug)]
pub(crate) struct Action {
    /// `ses:SendEmail`, as AWS writes it.
    pub(crate) name: String,
    pub(crate) service: &'static str,
    /// The name without service, in lower case.
    pub(crate) lower: String,
    pub(crate) level: AccessLevel,
    pub(crate) severity: Severity,
    /// Index of the resources it can be about.
    pub(crate) universe: usize,
}

/// AWS's access levels (AWS: Service Authorization Reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessLevel {
    List,
    Read,
    Tagging,
    Write,
    Permissions,
}

/// The resources that an action can be about.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Universe {
    /// ARNs of the resource types, as in the Service Authorization Reference.
    pub(crate) arns: Vec<&'static str>,
    /// Whether it can be called without a resource, which only `Resource: "*"` covers.
    pub(crate) star: bool,
    /// Whether names of these resources may hold colons. Those of SES, IAM and STS do not.
    pub(crate) colons: bool,
}

/// What is known of a service prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// All actions are listed.
    Whole,
    /// The service exists; only its sensitive actions are listed, or none.
    Part,
    /// There is no such service, or it is newer than the list.
    None,
}

impl Catalogue {
    fn read(text: &'static str) -> Self {
        let mut services: BTreeMap<&'static str, Service> = BTreeMap::new();
        let mut prefixes = BTreeSet::new();
        let mut universes = Vec::new();
        let mut numbers: HashMap<(Vec<&'static str>, bool, bool), usize> = HashMap::new();
        let mut current = "";
        let mut types: HashMap<&'static str, &'static str> = HashMap::new();
        for line in text.lines() {
            let mut fields = line.split(' ');
            match (fields.next(), fields.next(), fields.next()) {
                (Some("service"), Some(prefix), Some(coverage)) => {
                    current = prefix;
                    types.clear();
                    services.insert(prefix, Service { whole: coverage == "whole", actions: Vec::new() });
                }
                (Some("resource"), Some(name), Some(arn)) => {
                    types.insert(name, arn);
                }
                (Some("action"), Some(name), Some(level)) => {
                    let Some(service) = services.get_mut(current) else { continue };
                    let uses: Vec<&str> = fields.collect();
                    let arns: Vec<&'static str> =
                        uses.iter().filter_map(|kind| types.get(kind.trim_end_matches('!')).copied()).collect();
                    let star = !uses.iter().any(|kind| kind.ends_with('!'));
                    let colons = !service.whole;
                    let universe = *numbers.entry((arns.clone(), star, colons)).or_insert_with(|| {
                        universes.push(Universe { arns, star, colons });
                        universes.len() - 1
                    });
                    let level = AccessLevel::read(level);
                    let (full, lower) = (format!("{current}:{name}"), name.to_ascii_lowercase());
                    let severity = rate(current, &lower, Some(level));
                    service.actions.push(Action { name: full, service: current, lower, level, severity, universe });
                }
                (Some("prefixes"), ..) => prefixes.extend(line.split(' ').skip(1)),
                _ => {}
            }
        }
        Self { services, prefixes, universes }
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = (&'static str, &Service)> {
        self.services.iter().map(|(prefix, service)| (*prefix, service))
    }

    /// The listed actions of a service.
    pub(crate) fn actions(&self, service: &str) -> impl Iterator<Item = &Action> {
        self.services.get(service).into_iter().flat_map(|service| &service.actions)
    }

    pub(crate) fn universe(&self, action: &Action) -> &Universe {
        &self.universes[action.universe]
    }

    pub(crate) fn coverage(&self, service: &str) -> Coverage {
        match self.services.get(service) {
            Some(service) if service.whole => Coverage::Whole,
            Some(_) => Coverage::Part,
            None if self.prefixes.contains(service) => Coverage::Part,
            None => Coverage::None,
        }
    }

    /// The listed action with this service and lower-case name.
    pub(crate) fn find(&self, service: &str, lower: &str) -> Option<&Action> {
        self.actions(service).find(|action| action.lower == lower)
    }
}

impl AccessLevel {
    fn read(letter: &str) -> Self {
        match letter {
            "L" => Self::List,
            "R" => Self::Read,
            "T" => Self::Tagging,
            "P" => Self::Permissions,
            _ => Self::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_services_are_whole() {
        for (service, count) in [("ses", 226), ("iam", 187), ("sts", 16)] {
            assert_eq!(CATALOGUE.coverage(service), Coverage::Whole);
            assert_eq!(
                CATALOGUE.services[service].actions.len(),
                count,
                "{service}: read the difference before changing this number"
            );
        }
        assert_eq!(CATALOGUE.coverage("s3"), Coverage::Part);
        assert_eq!(CATALOGUE.coverage("sesv2"), Coverage::None);
    }

    #[test]
    fn the_list_says_where_it_comes_from_and_of_which_day_it_is() {
        for key in ["source", "version", "date"] {
            assert!(TEXT.lines().any(|line| line.starts_with(&format!("# {key}: "))), "{key}");
        }
        let count: usize = CATALOGUE.services().map(|(_, service)| service.actions.len()).sum();
        assert_eq!(count, TEXT.lines().filter(|line| line.starts_with("action ")).count());
    }

    #[test]
    fn an_action_without_resource_types_is_about_nothing_but_the_star() {
        let action = CATALOGUE.find("ses", "getaccount").unwrap();
        assert_eq!(*CATALOGUE.universe(action), Universe { arns: vec![], star: true, colons: false });
        let user = CATALOGUE.universe(CATALOGUE.find("iam", "getuser").unwrap());
        assert_eq!(
            (user.arns.as_slice(), user.star),
            (["arn:${Partition}:iam::${Account}:user/${UserNameWithPath}"].as_slice(), false)
        );
    }
}
