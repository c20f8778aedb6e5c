//! Finds the policy in what people hand over: the output of the AWS CLI, a string that holds the document, a statement.
//!
//! AWS: CLI command reference, `iam get-policy-version`, `get-policy`, `get-user-policy`, `list-attached-user-policies`;
//! IAM API reference, `GetUserPolicy`: "the policy document is URL-encoded compliant with RFC 3986".

use serde::Serialize;

use super::PolicyDocument;
use super::parser::{DocumentRules, check_text, parse_document, parse_statements};
use super::pointer::JsonPointer;
use crate::json::{JsonTree, JsonValue, Member};
use crate::problem::{DocumentProblem, ParseError, ProblemClass};

/// The most layers around a document. The CLI makes two, a shell's quoting a third.
const MAX_LAYERS: usize = 4;

/// The longest policy ARN or version that a remedy repeats.
const MAX_REPEATED: usize = 300;

/// What a document was taken out of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unwrapped {
    /// The part that was read, such as `PolicyVersion.Document`; empty for the whole text.
    pub part: String,
    /// What was found and read, in sentences.
    pub message: String,
}

/// The layers taken off so far.
#[derive(Default)]
struct Layers {
    parts: Vec<&'static str>,
    messages: Vec<&'static str>,
    /// Whether IAM returned the document, so that it has it.
    is_stored: bool,
}

impl Layers {
    fn take_off(&mut self, parts: &[&'static str], message: &'static str) {
        self.parts.extend(parts);
        self.messages.push(message);
    }

    const fn rules(&self) -> DocumentRules {
        if self.is_stored { DocumentRules::STORED } else { DocumentRules::NEW }
    }

    /// Notes on the document what was taken off.
    fn note(self, document: PolicyDocument) -> PolicyDocument {
        let unwrapped = (!self.messages.is_empty())
            .then(|| Unwrapped { part: self.parts.join("."), message: self.messages.join(" ") });
        PolicyDocument { unwrapped, ..document }
    }
}

impl PolicyDocument {
    /// Reads a policy document, or finds it in what the AWS CLI or IAM's API printed; then
    /// [`unwrapped`](Self::unwrapped) says what was read. A statement or a list of statements is read as part of a
    /// document with `Version` 2012-10-17. Positions of problems count in the text that holds the document: that of a
    /// string is its own.
    ///
    /// # Errors
    /// As [`PolicyDocument::parse`]. Output that names policies without their documents is told what to run instead.
    pub fn read(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        let mut layers = Layers::default();
        let document = read_text(text.as_ref(), &mut layers, MAX_LAYERS)?;
        Ok(layers.note(document))
    }
}

fn read_text(bytes: &[u8], layers: &mut Layers, left: usize) -> Result<PolicyDocument, ParseError> {
    let Some(left) = left.checked_sub(1) else {
        return Err(no_policy("The policy is wrapped too often.", "Hand over the document by itself."));
    };
    let text = check_text(bytes, layers.rules())?;
    if text.trim_start().starts_with('%')
        && let Some(decoded) = decode_percent(text.trim())
    {
        layers.take_off(&[], "The text is URL-encoded, as IAM's API returns it; it was decoded.");
        return read_text(&decoded, layers, left);
    }
    let tree = JsonTree::parse(text).map_err(|problem| ParseError::new(problem, None))?;
    let root = tree.root();
    match tree.value(root) {
        JsonValue::String(inner) => {
            layers.take_off(&[], "A string was handed over; the document in it was read.");
            read_text(inner.as_bytes(), layers, left)
        }
        JsonValue::Array(items) => read_list(&tree, root, items, layers),
        JsonValue::Object(members) => read_object(&tree, root, members, layers, left),
        _ => parse_document(&tree, root, &JsonPointer::ROOT, layers.rules()),
    }
}

fn read_list(
    tree: &JsonTree<'_>,
    root: usize,
    items: &[usize],
    layers: &mut Layers,
) -> Result<PolicyDocument, ParseError> {
    let any_has = |name: &str| items.iter().any(|item| member(tree, *item, name).is_some());
    if any_has("Statement") || any_has("PolicyVersion") || any_has("PolicyDocument") {
        return Err(no_policy("This is a list of documents.", "Hand over each document by itself."));
    }
    if !any_has("Effect") {
        return parse_document(tree, root, &JsonPointer::ROOT, layers.rules());
    }
    let message =
        "Statements without a document around them: they were read as a document with \"Version\": \"2012-10-17\".";
    layers.take_off(&[], message);
    parse_statements(tree, root)
}

fn read_object(
    tree: &JsonTree<'_>,
    root: usize,
    members: &[Member],
    layers: &mut Layers,
    left: usize,
) -> Result<PolicyDocument, ParseError> {
    let find = |name: &str| members.iter().find(|member| member.name == name).map(|member| member.node);
    if find("Statement").is_some() || find("Version").is_some() {
        return parse_document(tree, root, &JsonPointer::ROOT, layers.rules());
    }
    let top = JsonPointer::ROOT;
    if let Some(version) = find("PolicyVersion") {
        let Some(document) = member(tree, version, "Document") else {
            return Err(no_policy(
                "PolicyVersion has no Document.",
                "Hand over all that `aws iam get-policy-version --policy-arn … --version-id …` prints.",
            ));
        };
        let message = "This is what `aws iam get-policy-version` prints: the Document in PolicyVersion was read.";
        layers.take_off(&["PolicyVersion", "Document"], message);
        note_default(tree, version, layers);
        layers.is_stored = true;
        return read_value(tree, document, &top.key("PolicyVersion").key("Document"), layers, left);
    }
    if let Some(document) = find("Document") {
        layers.take_off(&["Document"], "A policy version was handed over: its Document was read.");
        note_default(tree, root, layers);
        layers.is_stored = true;
        return read_value(tree, document, &top.key("Document"), layers, left);
    }
    if let Some(document) = find("PolicyDocument") {
        let message =
            "This is what `aws iam get-user-policy` or `get-group-policy` prints: the PolicyDocument was read.";
        layers.take_off(&["PolicyDocument"], message);
        layers.is_stored = find("PolicyName").is_some();
        return read_value(tree, document, &top.key("PolicyDocument"), layers, left);
    }
    if let Some(policy) = find("Policy") {
        let holds_document =
            matches!(tree.value(policy), JsonValue::String(_)) || member(tree, policy, "Statement").is_some();
        if !holds_document {
            return Err(metadata_only(tree, policy));
        }
        layers.take_off(&["Policy"], "What stands in Policy was read.");
        return read_value(tree, policy, &top.key("Policy"), layers, left);
    }
    if ["PolicyNames", "AttachedPolicies", "Policies", "Versions"].iter().any(|name| find(name).is_some()) {
        return Err(no_policy(
            "This lists policies and holds none of their documents.",
            "Print each one with `aws iam get-user-policy`, `get-group-policy` or `get-policy-version`, and hand that over.",
        ));
    }
    if find("Effect").is_some() {
        let message =
            "A statement without a document around it: it was read as a document with \"Version\": \"2012-10-17\".";
        layers.take_off(&[], message);
        return parse_statements(tree, root);
    }
    parse_document(tree, root, &JsonPointer::ROOT, layers.rules())
}

/// Reads the value that holds the document: the document, or a string with its text.
fn read_value(
    tree: &JsonTree<'_>,
    node: usize,
    pointer: &JsonPointer<'_>,
    layers: &mut Layers,
    left: usize,
) -> Result<PolicyDocument, ParseError> {
    match tree.value(node) {
        JsonValue::String(inner) => read_text(inner.as_bytes(), layers, left),
        _ => parse_document(tree, node, pointer, layers.rules()),
    }
}

/// A version that is not the default has no effect (AWS: IAM user guide, "Versioning IAM policies").
fn note_default(tree: &JsonTree<'_>, version: usize, layers: &mut Layers) {
    let is_default = member(tree, version, "IsDefaultVersion").map(|node| tree.value(node));
    if matches!(is_default, Some(JsonValue::Bool(false))) {
        layers.take_off(&[], "It is not the policy's default version, so it is not in effect.");
    }
}

/// `aws iam get-policy` prints everything about a policy but its document.
fn metadata_only(tree: &JsonTree<'_>, policy: usize) -> ParseError {
    let repeat = |name: &str| match member(tree, policy, name).map(|node| tree.value(node)) {
        Some(JsonValue::String(text)) if is_plain(text) => text.clone(),
        _ => "…".to_owned(),
    };
    no_policy(
        "This is what `aws iam get-policy` prints: it describes a policy and does not hold its document.",
        &format!(
            "Run `aws iam get-policy-version --policy-arn {} --version-id {}`, and hand that over.",
            repeat("Arn"),
            repeat("DefaultVersionId")
        ),
    )
}

/// Whether a text from a stranger can stand in a command.
fn is_plain(text: &str) -> bool {
    (1..=MAX_REPEATED).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_+=,.@-".contains(&byte))
}

fn member(tree: &JsonTree<'_>, node: usize, name: &str) -> Option<usize> {
    let JsonValue::Object(members) = tree.value(node) else { return None };
    members.iter().find(|member| member.name == name).map(|member| member.node)
}

fn no_policy(message: &str, remedy: &str) -> ParseError {
    ParseError::new(DocumentProblem::of_document(ProblemClass::NoDocument, message, remedy), None)
}

/// The bytes of an URL-encoded text (RFC 3986, section 2.1); `None` if an escape is broken.
fn decode_percent(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(16 * digit()? + digit()?).ok()?
        } else {
            byte
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIC: &str = include_str!("../../data/classic-1.json");

    fn encoded() -> String {
        CLASSIC.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    fn problem_of(text: &str) -> DocumentProblem {
        PolicyDocument::read(text).unwrap_err().problems()[0].clone()
    }

    #[test]
    fn what_the_cli_prints_is_unwrapped_and_told() {
        let quoted = serde_json::to_string(CLASSIC).unwrap();
        let plain = PolicyDocument::parse(CLASSIC).unwrap();
        for (text, part, says) in [
            (
                format!(r#"{{"PolicyVersion":{{"VersionId":"v1","IsDefaultVersion":true,"Document":{CLASSIC}}}}}"#),
                "PolicyVersion.Document",
                "get-policy-version",
            ),
            (format!(r#"{{"PolicyVersion":{{"Document":"{}"}}}}"#, encoded()), "PolicyVersion.Document", "URL-encoded"),
            (format!(r#"{{"VersionId":"v1","Document":{quoted}}}"#), "Document", "its Document was read"),
            (format!(r#"{{"Policy":{CLASSIC}}}"#), "Policy", "Policy was read"),
            (format!(r#"{{"Policy":{quoted}}}"#), "Policy", "Policy was read"),
            (
                format!(r#"{{"UserName":"u","PolicyName":"p","PolicyDocument":{CLASSIC}}}"#),
                "PolicyDocument",
                "get-user-policy",
            ),
            (
                format!(r#"{{"GroupName":"g","PolicyName":"p","PolicyDocument":"{}"}}"#, encoded()),
                "PolicyDocument",
                "get-group-policy",
            ),
            (quoted.clone(), "", "A string"),
            (encoded(), "", "URL-encoded"),
            (format!("  {}\n", encoded()), "", "URL-encoded"),
        ] {
            let read = PolicyDocument::read(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let unwrapped = read.unwrapped().unwrap();
            assert_eq!((unwrapped.part.as_str(), read.to_json()), (part, plain.to_json()), "{text}");
            assert!(unwrapped.message.contains(says), "{}", unwrapped.message);
        }
        assert_eq!(PolicyDocument::read(CLASSIC), Ok(plain));
    }

    #[test]
    fn a_version_that_is_not_in_effect_is_told() {
        let text = format!(r#"{{"PolicyVersion":{{"IsDefaultVersion":false,"Document":{CLASSIC}}}}}"#);
        let read = PolicyDocument::read(text).unwrap();
        assert!(read.unwrapped().unwrap().message.contains("not the policy's default version"));
    }

    #[test]
    fn statements_are_read_as_a_document_of_the_current_version() {
        let statement = r#"{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::*:user/${aws:username}"}"#;
        for text in [statement.to_owned(), format!("[{statement}]"), format!("[{statement},{statement}]")] {
            let read = PolicyDocument::read(&text).unwrap();
            assert!(read.version().has_variables() && read.warnings().is_empty());
            assert!(read.unwrapped().unwrap().message.contains("2012-10-17"), "{text}");
            assert!(PolicyDocument::parse(&text).is_err());
        }
        let broken = problem_of(r#"[{"Effect":"allow","Action":"a:b","Resource":"*"}]"#);
        assert_eq!((broken.class, broken.pointer.as_str()), (ProblemClass::InvalidEffect, "/0/Effect"));
    }

    #[test]
    fn output_without_a_document_is_told_what_to_run() {
        let policy =
            r#"{"Policy":{"PolicyName":"p","Arn":"arn:aws:iam::123456789012:policy/p","DefaultVersionId":"v3"}}"#;
        let problem = problem_of(policy);
        assert_eq!(problem.class, ProblemClass::NoDocument);
        assert!(
            problem.remedy.contains("--policy-arn arn:aws:iam::123456789012:policy/p --version-id v3"),
            "{problem}"
        );
        let hostile = problem_of(r#"{"Policy":{"Arn":"x`; rm","DefaultVersionId":7}}"#);
        assert!(hostile.remedy.contains("--policy-arn … --version-id …"), "{hostile}");
        for text in [
            r#"{"PolicyNames":["a"]}"#,
            r#"{"AttachedPolicies":[]}"#,
            r#"{"Versions":[]}"#,
            r#"{"PolicyVersion":{"VersionId":"v1"}}"#,
            r#"{"PolicyVersion":7}"#,
            r#"[{"Statement":[]}]"#,
        ] {
            assert_eq!(problem_of(text).class, ProblemClass::NoDocument, "{text}");
        }
    }

    #[test]
    fn problems_keep_their_place_in_what_was_handed_over() {
        let problem =
            problem_of("{\"PolicyVersion\": {\n \"Document\": {\"Version\": \"2012-10-18\", \"Statement\": [] } } }");
        let place = (problem.class, problem.pointer.as_str(), problem.line);
        assert_eq!(place, (ProblemClass::InvalidVersion, "/PolicyVersion/Document/Version", 2));
    }

    #[test]
    fn only_what_iam_returned_is_measured_as_stored() {
        let resources: Vec<String> = (0..400).map(|number| format!("\"arn:aws:ses:*:*:identity/{number}\"")).collect();
        let long = format!(
            r#"{{"Version":"2012-10-17","Id":"x","Statement":{{"Effect":"Allow","Action":"ses:*","Resource":[{}]}}}}"#,
            resources.join(",")
        );
        let read = PolicyDocument::read(format!(r#"{{"PolicyVersion":{{"Document":{long}}}}}"#)).unwrap();
        assert_eq!(read.warnings()[0].class, ProblemClass::IdInIdentityPolicy);
        let classes: Vec<_> =
            PolicyDocument::read(&long).unwrap_err().problems().iter().map(|problem| problem.class).collect();
        assert_eq!(classes, [ProblemClass::OverSize, ProblemClass::IdInIdentityPolicy]);
    }

    #[test]
    fn layers_have_an_end() {
        let mut text = CLASSIC.to_owned();
        for _ in 0..MAX_LAYERS {
            text = serde_json::to_string(&text).unwrap();
        }
        assert_eq!(problem_of(&text).message, "The policy is wrapped too often.");
    }

    #[test]
    fn a_broken_escape_is_no_encoding() {
        for text in ["%7", "%zz", "%", "%7B%"] {
            assert_eq!(problem_of(text).class, ProblemClass::JsonSyntax, "{text}");
        }
    }
}
