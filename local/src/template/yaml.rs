//! The template as a tree of nodes. Each knows its line and its intrinsic tag (`!Ref`, `!Sub`, …).

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::error::TemplateError;

/// A node of the template.
#[derive(Clone, Debug)]
pub(crate) struct YamlNode {
    /// The line it starts on, counted from 1.
    pub(crate) line: usize,
    /// The short form of an intrinsic: `Ref` for `!Ref`. Resolved nodes have none.
    pub(crate) tag: Option<String>,
    /// What it holds.
    pub(crate) content: YamlContent,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum YamlContent {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Any other scalar.
    String(String),
    /// A sequence.
    List(Vec<YamlNode>),
    /// A mapping in the order of the file.
    Map(Vec<YamlEntry>),
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct YamlEntry {
    /// The key.
    pub(crate) key: String,
    /// The line the key is on.
    pub(crate) line: usize,
    /// Its value.
    pub(crate) value: YamlNode,
}

impl YamlNode {
    /// Reads one YAML document. Duplicate keys, aliases and keys that are not scalars are errors, as CloudFormation has
    /// them.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut builder = TreeBuilder::default();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| TemplateError::at(error.marker().line(), "", error.info()))?;
            builder.push_event(event, span)?;
        }
        builder.root.ok_or_else(|| TemplateError::at(1, "", "the template is empty"))
    }

    /// A string on this line.
    pub(crate) fn string(line: usize, text: impl Into<String>) -> Self {
        Self { line, tag: None, content: YamlContent::String(text.into()) }
    }

    /// The value under `key`, where this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries, where this is a mapping.
    pub(crate) fn entries(&self) -> Option<&[YamlEntry]> {
        match &self.content {
            YamlContent::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, where this is a list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match &self.content {
            YamlContent::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a scalar; numbers and booleans as they are written in JSON.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.content {
            YamlContent::String(text) => Some(text.clone()),
            YamlContent::Number(number) => Some(number.to_string()),
            YamlContent::Bool(value) => Some(value.to_string()),
            YamlContent::Null | YamlContent::List(_) | YamlContent::Map(_) => None,
        }
    }

    /// The same as JSON, for policy documents and event patterns.
    pub(crate) fn json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.content {
            YamlContent::Null => Value::Null,
            YamlContent::Bool(value) => Value::Bool(*value),
            YamlContent::Number(number) => Value::Number(number.clone()),
            YamlContent::String(text) => Value::String(text.clone()),
            YamlContent::List(items) => Value::Array(items.iter().map(Self::json).collect()),
            YamlContent::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.json())).collect())
            }
        }
    }
}

/// Builds the tree from the parser's events.
#[derive(Default)]
struct TreeBuilder {
    open: Vec<OpenCollection>,
    root: Option<YamlNode>,
}

/// A list or mapping whose end is still to come.
struct OpenCollection {
    node: YamlNode,
    key: Option<(String, usize)>,
}

impl TreeBuilder {
    fn push_event(&mut self, event: Event<'_>, span: Span) -> Result<(), TemplateError> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, _, tag) => {
                if let Some(open) = self.open.last_mut()
                    && matches!(open.node.content, YamlContent::Map(_))
                    && open.key.is_none()
                {
                    open.key = Some((text.into_owned(), line));
                    return Ok(());
                }
                let (tag, content) = match tag {
                    Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
                        (None, YamlContent::String(text.into_owned()))
                    }
                    tag => (short_form(tag.as_deref(), line)?, scalar(&text, style)),
                };
                self.finish_node(YamlNode { line, tag, content })
            }
            Event::SequenceStart(_, tag) => self.begin_collection(line, tag.as_deref(), YamlContent::List(Vec::new())),
            Event::MappingStart(_, tag) => self.begin_collection(line, tag.as_deref(), YamlContent::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.finish_node(open.node),
                None => Ok(()),
            },
            Event::Alias(_) => Err(TemplateError::at(line, "", "CloudFormation takes no YAML aliases")),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin_collection(&mut self, line: usize, tag: Option<&Tag>, content: YamlContent) -> Result<(), TemplateError> {
        if let Some(open) = self.open.last()
            && matches!(open.node.content, YamlContent::Map(_))
            && open.key.is_none()
        {
            return Err(TemplateError::at(line, "", "a key must be a scalar"));
        }
        let node = YamlNode { line, tag: short_form(tag, line)?, content };
        self.open.push(OpenCollection { node, key: None });
        Ok(())
    }

    fn finish_node(&mut self, node: YamlNode) -> Result<(), TemplateError> {
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() {
                return Err(TemplateError::at(node.line, "", "a template is one YAML document"));
            }
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.content {
            YamlContent::List(items) => items.push(node),
            YamlContent::Map(entries) => {
                let (key, line) = open.key.take().unwrap_or_default();
                if entries.iter().any(|entry| entry.key == key) {
                    return Err(TemplateError::at(line, &key, "the key is there twice"));
                }
                entries.push(YamlEntry { key, line, value: node });
            }
            _ => {}
        }
        Ok(())
    }
}

fn short_form(tag: Option<&Tag>, line: usize) -> Result<Option<String>, TemplateError> {
    match tag {
        None => Ok(None),
        Some(tag) if tag.handle == "!" => Ok(Some(tag.suffix.clone())),
        Some(tag) => Err(TemplateError::at(line, "", format!("unknown tag {tag}"))),
    }
}

/// YAML's core schema, as far as templates use it.
fn scalar(text: &str, style: ScalarStyle) -> YamlContent {
    if style != ScalarStyle::Plain {
        return YamlContent::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return YamlContent::Null,
        "true" | "True" | "TRUE" => return YamlContent::Bool(true),
        "false" | "False" | "FALSE" => return YamlContent::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    // A leading zero means that it is an id (an account, for example), whatever YAML says.
    let is_id = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !is_id && digits.starts_with(|c: char| c.is_ascii_digit()) {
        if let Ok(number) = text.parse::<i64>() {
            return YamlContent::Number(number.into());
        }
        if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && let Some(number) = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64)
        {
            return YamlContent::Number(number);
        }
    }
    YamlContent::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_remembers_its_line_and_its_tag() {
        let node = YamlNode::parse("A: 1\nB:\n  - !Ref C\n  - !Sub [\"${x}\", {x: 1}]\n").unwrap();
        let items = node.get("B").unwrap().items().unwrap();
        assert_eq!(items[0].line, 3);
        assert_eq!(items[0].tag.as_deref(), Some("Ref"));
        assert_eq!(items[1].tag.as_deref(), Some("Sub"));
        assert_eq!(items[1].items().unwrap().len(), 2);
    }

    #[test]
    fn scalars_have_the_types_of_the_core_schema() {
        let node =
            YamlNode::parse("a: 2012-10-17\nb: \"5\"\nc: 5\nd: true\ne: \"true\"\nf:\ng: 012345678901\nh: 1.5\n")
                .unwrap();
        assert_eq!(
            node.json(),
            serde_json::json!({"a": "2012-10-17", "b": "5", "c": 5, "d": true, "e": "true", "f": null,
                               "g": "012345678901", "h": 1.5})
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error_with_its_line() {
        let error = YamlNode::parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3: a: the key is there twice");
    }

    #[test]
    fn an_alias_is_an_error() {
        assert!(YamlNode::parse("a: &x 1\nb: *x\n").is_err());
    }
}
