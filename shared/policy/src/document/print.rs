//! Prints a document as JSON, in one canonical form.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{PatternSelection, PolicyDocument, Statement, Version};
use crate::condition::Condition;

impl PolicyDocument {
    /// The document as compact JSON: elements in AWS's order, lists always as lists. Parsing it gives the same document
    /// again.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for PolicyDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.version {
            Version::Absent => {}
            Version::V2008 => map.serialize_entry("Version", "2008-10-17")?,
            Version::V2012 => map.serialize_entry("Version", "2012-10-17")?,
        }
        if let Some(id) = &self.id {
            map.serialize_entry("Id", id)?;
        }
        map.serialize_entry("Statement", &self.statements)?;
        map.end()
    }
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(sid) = &self.sid {
            map.serialize_entry("Sid", sid)?;
        }
        map.serialize_entry("Effect", self.effect.as_str())?;
        map.serialize_entry(element_name(&self.actions, ["Action", "NotAction"]), &self.actions().collect::<Vec<_>>())?;
        map.serialize_entry(
            element_name(&self.resources, ["Resource", "NotResource"]),
            &self.resources().collect::<Vec<_>>(),
        )?;
        if !self.conditions.is_empty() {
            map.serialize_entry("Condition", &Conditions(&self.conditions))?;
        }
        map.end()
    }
}

const fn element_name<P>(selection: &PatternSelection<P>, [plain, inverted]: [&'static str; 2]) -> &'static str {
    if selection.inverted { inverted } else { plain }
}

/// The parser reads conditions operator by operator, so those of one operator are neighbours.
struct Conditions<'c>(&'c [Condition]);

impl Serialize for Conditions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for group in self.0.chunk_by(|one, next| one.operator() == next.operator()) {
            map.serialize_entry(&group[0].operator().to_string(), &Keys(group))?;
        }
        map.end()
    }
}

struct Keys<'c>(&'c [Condition]);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for condition in self.0 {
            map.serialize_entry(condition.key(), &condition.values().collect::<Vec<_>>())?;
        }
        map.end()
    }
}
